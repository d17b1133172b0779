package cedar

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/cedar-policy/cedar-go/types"

	"kest.example/kest"
	"kest.example/kest/internal/jcs"
	"kest.example/kest/kesttest"
	"kest.example/kest/policy/cedaragent"
)

// A Cedar Agent sees the very context that a policy in process sees.
func TestSameContextOverTheWire(t *testing.T) {
	codec, err := cedaragent.New("", "")
	if err != nil {
		t.Fatal(err)
	}
	contexts := []*kest.Context{kesttest.Context(t, "orders.read", "pii", "tenant=a", "tenant=b", "=", "a=")}
	for _, text := range []string{`{}`, `{"subject": {"taints": ["", "a"], "attributes": {"empty": "", "none": null, "list": [null, "", 1, [], {}]}}}`} {
		contexts = append(contexts, parsed(t, text))
	}
	for i := range 2000 {
		g := contextMaker{rand.New(rand.NewPCG(7, uint64(i)))}
		contexts = append(contexts, parsed(t, g.context()))
	}
	for _, c := range contexts {
		question, err := codec.Question("p", c)
		if err != nil {
			t.Fatalf("%v: %s", err, c.JSON())
		}
		asked, err := jcs.Parse(question.Body)
		if err != nil {
			t.Fatal(err)
		}
		var over types.Record
		if err := over.UnmarshalJSON(jcs.Append(nil, asked.Get("context"))); err != nil {
			t.Fatalf("Cedar does not take it: %v: %s", err, question.Body)
		}
		inside, err := buildContext(c, nil)
		if err != nil || !inside.Equal(over) {
			t.Fatalf("of %s\nin process %s\nover the wire %s\n%v", c.JSON(), inside, over, err)
		}
	}
}

func parsed(t *testing.T, text string) *kest.Context {
	t.Helper()
	c, err := kest.ParseContext([]byte(text))
	if err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return c
}

// contextMaker makes contexts as JSON, of which any part may be missing.
type contextMaker struct{ *rand.Rand }

func (g contextMaker) context() string {
	return g.object(
		"subject", g.object("workload", g.text(), "user", g.text(), "agent", g.text(), "task", g.text(), "trust_score", g.number(), "taints", g.texts(),
			"attributes", g.attributes(3), "labels", g.object("a", g.texts(), "b c", g.texts())),
		"object", g.object("id", g.text(), "attributes", g.attributes(3)),
		"environment", g.object("is_root", g.pick("true", "false"), "source_type", g.text(), "parent_hash", g.text(), "policy_names", g.texts(),
			"policy_tier", g.pick(`"enterprise"`, `"function"`), "active_deviations", g.texts(), "operation", g.text(), "classification", g.text(), "timestamp_ms", g.number()),
		"lineage", g.object("depth", g.number(), "roots", g.texts(), "callers", g.texts(), "principals", g.texts(), "operations", g.texts(), "origins", g.texts(), "users", g.texts(),
			"acts", "["+g.object("operation", g.text(), "user", g.text())+","+g.object("operation", g.text(), "user", g.text())+"]",
			"taint_sources", g.object("a", g.text(), "b=c", g.text(), "attributes", g.text()), "min_trust", g.number()),
	)
}

func (g contextMaker) pick(list ...string) string { return list[g.IntN(len(list))] }

func (g contextMaker) text() string {
	return g.pick(`"a"`, `"ä\n\"\\"`, `""`, `"spiffe://example.org/x"`, "null")
}

func (g contextMaker) number() string {
	return g.pick("0", "40", "-1", "9007199254740991", "1e3", "null")
}

func (g contextMaker) texts() string {
	list := make([]string, g.IntN(4))
	for i := range list {
		list[i] = g.pick(`"a"`, `"b=c"`, `""`, `"a"`)
	}
	return "[" + strings.Join(list, ",") + "]"
}

func (g contextMaker) object(pairs ...string) string {
	var members []string
	for i := 0; i < len(pairs); i += 2 {
		if g.IntN(5) > 0 {
			members = append(members, fmt.Sprintf("%q:%s", pairs[i], pairs[i+1]))
		}
	}
	return "{" + strings.Join(members, ",") + "}"
}

func (g contextMaker) attributes(depth int) string {
	return g.object("a", g.value(depth), "b.c", g.value(depth), "", g.value(depth), "attributes", g.value(depth), "type", g.value(depth), "id", g.value(depth))
}

func (g contextMaker) value(depth int) string {
	if depth == 0 {
		return g.pick(g.text(), g.number(), "true", "false", "[]", "{}")
	}
	switch g.IntN(4) {
	case 0:
		return g.attributes(depth - 1)
	case 1:
		return "[" + g.value(depth-1) + "," + g.value(depth-1) + "]"
	}
	return g.value(0)
}
