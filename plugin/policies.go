package plugin

import (
	"slices"
	"strconv"
	"time"

	"kest.example/kest"
	"kest.example/kest/internal/jcs"
	"kest.example/kest/policy/cedaragent"
	"kest.example/kest/policy/opa"
)

// RemoteConfig is one engine that is asked over HTTP.
type RemoteConfig struct {
	Kind      string // kest.KindOPA or kest.KindCedarAgent
	Cluster   string
	Authority string
	Names     []string
	Timeout   time.Duration // from the question to the last byte of the answer
	Codec     kest.PolicyCodec
}

func (c *Config) readPolicies(n node) {
	n.object("cedar", "rego", "opa", "cedar_agent")
	owner := make(map[string]string)
	c.readCedar(n.get("cedar"), owner)
	rego := n.get("rego").object("names")
	if n.get("rego").there() {
		c.Rego = readNames(rego, "rego", owner)
	}
	c.readRemote(n.get("opa"), kest.KindOPA, owner)
	c.readRemote(n.get("cedar_agent"), kest.KindCedarAgent, owner)
}

func (c *Config) readCedar(n node, owner map[string]string) {
	if !n.want(jcs.Object) {
		return
	}
	c.Cedar = make(map[string]string)
	for _, m := range n.v.Items() {
		if !kest.ValidPolicyName(m.Name) {
			n.get(m.Name).fail("is no policy name")
		}
		c.Cedar[m.Name], owner[m.Name] = n.get(m.Name).required(), kest.KindCedar
	}
}

// readNames reads the policies of one engine. None may belong to another.
func readNames(n node, kind string, owner map[string]string) []string {
	list := n.get("names")
	names := list.strings()
	if len(names) == 0 {
		list.fail("is missing or empty")
	}
	for i, name := range names {
		at := node{list.v, list.path + "[" + strconv.Itoa(i) + "]", list.err}
		if !kest.ValidPolicyName(name) {
			at.fail("is no policy name")
		}
		if other := owner[name]; other != "" {
			at.fail("policy " + strconv.Quote(name) + " belongs to the engine " + other + " already")
		}
		owner[name] = kind
	}
	return names
}

// readRemote reads one engine, or a list of them.
func (c *Config) readRemote(n node, kind string, owner map[string]string) {
	switch {
	case !n.there():
	case n.v.Kind() == jcs.Array:
		n.each(func(one node) { c.readOneRemote(one, kind, owner) })
	default:
		c.readOneRemote(n, kind, owner)
	}
}

// maxEngineTimeout bounds how long a request may wait for an engine.
const maxEngineTimeout = 30 * time.Second

func (c *Config) readOneRemote(n node, kind string, owner map[string]string) {
	known := []string{"cluster", "authority", "names", "timeout"}
	if kind == kest.KindOPA {
		known = append(known, "path_prefix", "decision_path")
	} else {
		known = append(known, "prefix", "wire")
	}
	n.object(known...)
	r := &RemoteConfig{
		Kind: kind, Cluster: n.get("cluster").required(), Authority: n.get("authority").text(),
		Names: readNames(n, kind, owner), Timeout: n.get("timeout").duration(kest.EvaluationTimeout),
	}
	if r.Authority == "" {
		r.Authority = r.Cluster
	}
	if r.Timeout <= 0 || r.Timeout > maxEngineTimeout {
		n.get("timeout").fail("is not above 0 and at most 30s")
	}
	var err error
	if kind == kest.KindOPA {
		r.Codec, err = opa.New(n.get("path_prefix").text(), n.get("decision_path").text())
	} else {
		r.Codec, err = readCedarAgent(n)
	}
	n.failed(err)
	c.Remote = append(c.Remote, r)
}

func readCedarAgent(n node) (kest.PolicyCodec, error) {
	return cedaragent.New(n.get("prefix").text(), n.get("wire").choice("cedar-agent", "kest-0.3"))
}

// asksCedar reports whether contexts must be such as Cedar can hold.
func (c *Config) asksCedar() bool {
	return len(c.Cedar) > 0 || slices.ContainsFunc(c.Remote, func(r *RemoteConfig) bool { return r.Kind == kest.KindCedarAgent })
}
