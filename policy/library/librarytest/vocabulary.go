package librarytest

// vocabulary is what a model's contexts are made of.
type vocabulary struct {
	subject, object []attribute         // subject.attributes, object.attributes
	labels          []string            // taints key=value
	tainted         int                 // the chance of each label, in percent
	taints          []string            // plain ones
	told            map[string][]string // values of subject.labels that no taint gives
}

var (
	levels     = []string{"confidential", "unclassified", "secret", "top_secret", "cosmic"}
	cleared    = []string{"secret", "top_secret", "confidential", "unclassified", "cosmic"}
	categories = []string{"crypto", "nato", "nuclear"}
)

var vocabularies = map[string]vocabulary{
	"bell_lapadula": {
		subject: []attribute{must("clearance", word(cleared...)), must("categories", list(80, categories...))},
		object: []attribute{
			must("level", word(levels...)), must("categories", list(40, categories...)),
			must("access", word("read", "append", "write", "execute")),
		},
		labels: []string{
			"level=unclassified", "level=confidential", "level=secret", "level=top_secret", "level=cosmic", "level=",
			"category=crypto", "category=nato", "category=nuclear",
		},
		tainted: 7, taints: []string{"level", "pii"},
		told: map[string][]string{"level": levels, "category": categories},
	},
	"biba": {
		subject: []attribute{must("integrity", number(60, 50, 0, 100, 90, 101))},
		object:  []attribute{must("integrity", number(60, 50, 0, 100, 61, 59, -1)), must("access", word("modify", "observe", "invoke", "read"))},
	},
	"brewer_nash": {
		object: []attribute{
			must("dataset", word("bank-a", "bank-b", "oil-a")), must("conflicts", list(40, "bank-c", "bank-b", "bank-d")),
			must("access", word("read", "write", "append")),
			{"sanitized", flag, 40},
		},
		labels:  []string{"dataset=bank-a", "dataset=bank-b", "dataset=bank-c", "dataset=oil-a"},
		tainted: 25, taints: []string{"dataset", "bank-b"},
		told: map[string][]string{"dataset": {"bank-a", "bank-b"}},
	},
	"clark_wilson": {
		subject: []attribute{
			must("triples", list(85, "post:ledger", "enter:journal", "post")),
			{"certifies", list(20, "post:ledger", "close:ledger"), 40},
		},
		object: []attribute{
			must("triple", word("post:ledger", "enter:journal", "post", "close:ledger")),
			{"accepts_udi", flag, 50},
			{"separate_from", word("request", "review", "audit"), 60},
		},
		taints: []string{"udi", "udi", "pii"},
	},
	"goguen_meseguer": {
		object:  []attribute{must("domain", word("low", "high", "audit")), must("not_from", list(50, "high", "staff"))},
		labels:  []string{"domain=low", "domain=high", "domain=staff", "domain=audit"},
		tainted: 30, taints: []string{"domain", "high"},
		told: map[string][]string{"domain": {"low", "high"}},
	},
	"financial": {
		subject: []attribute{must("limit", number(1000, 500, 0, 100000))},
		object: []attribute{
			must("amount", number(500, 1000, 1001, 0, 501, -1)),
			{"separate_from", word("request", "review", "audit"), 50},
			may("admits", list(70, "pan", "name")),
		},
		labels:  []string{"data=pan", "data=name", "data=cvv"},
		tainted: 20, taints: []string{"data", "pan"},
		told: map[string][]string{"data": {"pan", "name"}},
	},
	"security": {
		subject: []attribute{may("roles", list(70, "admin", "clerk"))},
		object: []attribute{
			must("min_trust", number(40, 60, 0, 100)), must("max_depth", number(5, 3, 1, 0)),
			must("allowed_roots", list(90, principals...)), may("privileged", flag), may("role", word("admin", "clerk", "owner")),
		},
		taints: []string{"quarantine", "unverified_input", "pii"},
	},
	"healthcare": {
		subject: []attribute{may("covered", flag), may("associate", flag), must("treats", list(60, "p1", "p2", "p3"))},
		object: []attribute{
			must("purpose", word("treatment", "payment", "operations", "marketing")), must("scope", word("minimum", "full", "some")),
			{"patient", word("p1", "p2", "p4"), 80},
			may("authorized", flag),
			{"notes", flag, 25},
		},
		taints: []string{"phi", "phi", "phi", "phi", "phi", "pii"},
	},
}
