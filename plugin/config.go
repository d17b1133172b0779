package plugin

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"time"

	"kest.example/kest"
	"kest.example/kest/internal/jcs"
	"kest.example/kest/internal/jws"
	"kest.example/kest/internal/protostruct"
)

// Config is the configuration of DESIGN 5, checked.
type Config struct {
	Policies kest.PolicyConfig
	Workload string
	Identity IdentityConfig
	Keys     kest.StaticKeys
	// AskAgent has keys asked of the agent that are not in Keys.
	AskAgent bool
	Signers  bool        // keys.signers is there; the host or the agent reads it
	Egress   bool        // direction: egress
	User     *UserConfig // nil reads no token

	Authority             kest.Authority
	TrustAllClaims        bool
	InsecureActor         bool // baggage says who the user is
	Lineage               LineageConfig
	Propagation           PropagationConfig
	Edge                  EdgeConfig
	Routes                []*Route
	DefaultRoute          *Route // nil refuses what no route matches
	Subjects              []SubjectRule
	Cedar                 map[string]string
	Rego                  []string        // names of policies that are compiled in
	Remote                []*RemoteConfig // engines that are asked by calls
	classificationClasses map[string]string

	document *jcs.Value
}

// IdentityConfig says with which key entries are signed.
type IdentityConfig struct {
	Agent     *AgentConfig // a session key that the agent binds
	Seed      []byte       // insecure_seed, 32 bytes
	Local     bool         // insecure_local
	Binding   string       // inline puts it into the entries' headers, directory doesn't; "" is for the host to say
	Algorithm string       // of the session key: EdDSA or ES256
}

// LineageConfig says how passports are verified.
type LineageConfig struct {
	StrictChain bool
	Semantics   kest.Semantics
	Schema      kest.Schema
	PeerReport  bool
	Grace       time.Duration
	Limits      kest.Limits
}

// PropagationConfig says how passports travel.
type PropagationConfig struct {
	MaxBytes     int
	Compress     bool
	ClaimCluster string // "" has no claim check
	ClaimTTL     time.Duration
	Python       bool
}

// EdgeConfig says what crosses the edge.
type EdgeConfig struct {
	StripIncoming bool
	AllowHosts    []kest.Pattern // nil sends kest.* to every host
}

// SubjectRule gives attributes to the subjects that fit (POLICY.md).
type SubjectRule struct {
	Kind       string // user, agent or workload
	Pattern    kest.Pattern
	Attributes *jcs.Value
}

// ParseConfig reads a configuration document: JSON, or what Envoy makes of a
// google.protobuf.Struct. Anything unknown, of the wrong type or contradicting
// itself is a *ConfigError with the member's path.
func ParseConfig(text []byte) (*Config, error) {
	v, err := parseDocument(text)
	if err != nil {
		return nil, &ConfigError{"", err.Error()}
	}
	if v.Kind() != jcs.Object {
		return nil, &ConfigError{"", "it is " + v.Kind().String() + ", not an object"}
	}
	var first error
	c := &Config{document: v}
	c.read(node{v, "", &first})
	if first != nil {
		return nil, first
	}
	return c, nil
}

// parseDocument tells the two forms apart: a serialised Struct begins with a
// line feed, and no JSON text with one in front is also a Struct.
func parseDocument(text []byte) (*jcs.Value, error) {
	if len(text) > 0 && text[0] == '\n' {
		if v, err := protostruct.Parse(text); err == nil {
			return v, nil
		}
	}
	return jcs.Parse(text)
}

func (c *Config) read(n node) {
	n.object("kest", "direction", "workload", "identity", "keys", "authority", "insecure_trust_all_claims",
		"insecure_baggage_identity", "lineage", "propagation", "edge", "user", "routes", "subjects",
		"default_route", "policies", "telemetry", "classification_taints")
	n.unbuilt("telemetry")
	c.Egress = n.get("direction").choice("ingress", "egress") == "egress"
	c.Workload = n.get("workload").required()
	c.InsecureActor = n.get("insecure_baggage_identity").flag()
	c.readKest(n.get("kest"))
	c.readIdentity(n.get("identity"))
	c.readKeys(n.get("keys"))
	c.readAuthority(n)
	c.readLineage(n.get("lineage"))
	c.readPropagation(n.get("propagation"))
	c.readEdge(n.get("edge"))
	c.readUser(n.get("user"))
	c.readClasses(n.get("classification_taints"))
	c.readPolicies(n.get("policies"))
	c.readSubjects(n.get("subjects"))
	c.readRoutes(n)
}

func (c *Config) readKest(n node) {
	n.object("enterprise_policies", "platform_policies", "app_policies", "shadow_policies", "deviations")
	c.Policies = kest.PolicyConfig{
		Enterprise: n.get("enterprise_policies").strings(), Platform: n.get("platform_policies").strings(),
		Application: n.get("app_policies").strings(), Shadow: n.get("shadow_policies").strings(),
	}
	n.get("deviations").each(func(d node) {
		d.object("scope", "policy", "tier", "reason", "approver", "expires")
		deviation := kest.Deviation{
			Scope: d.get("scope").required(), Policy: d.get("policy").required(),
			Tier:   kest.Tier(d.get("tier").choice("enterprise", "platform", "application")),
			Reason: d.get("reason").text(), Approver: d.get("approver").text(),
		}
		if !d.get("tier").there() {
			d.get("tier").fail("is missing")
		}
		if text := d.get("expires").text(); text != "" {
			at, ok := parseTime(text)
			if !ok {
				d.get("expires").fail("is no time of RFC 3339")
			}
			deviation.Expires = at
		}
		c.Policies.Deviations = append(c.Policies.Deviations, deviation)
	})
	n.failed(c.Policies.Validate())
}

func (c *Config) readIdentity(n node) {
	n.object("agent", "insecure_seed", "insecure_local", "binding", "algorithm")
	id := &c.Identity
	if n.get("binding").there() {
		id.Binding = n.get("binding").choice("directory", bindingInline)
	}
	id.Algorithm = n.get("algorithm").choice(jws.EdDSA, jws.ES256)
	id.Local = n.get("insecure_local").flag()
	id.Agent = readAgent(n.get("agent"))
	if seed := n.get("insecure_seed"); seed.there() {
		b, err := jws.Decode(seed.text())
		if err != nil || len(b) != 32 {
			seed.fail("is no base64url of 32 bytes")
		}
		id.Seed = b
	}
	switch {
	case id.Seed != nil && id.Local:
		n.fail("has insecure_seed and insecure_local, of which one must be there")
	case id.Agent != nil && (id.Seed != nil || id.Local):
		n.fail("has an agent and an insecure key, of which one must be there")
	case id.Agent == nil && id.Binding == bindingInline:
		n.get("binding").fail("inline needs identity.agent, which binds the key")
	case id.Agent == nil && id.Algorithm == jws.ES256:
		n.get("algorithm").fail("ES256 needs identity.agent, which binds the key")
	}
}

const bindingInline = "inline"

func readAgent(n node) *AgentConfig {
	if !n.there() {
		return nil
	}
	n.object("cluster", "authority", "token")
	a := &AgentConfig{Cluster: n.get("cluster").required(), Authority: n.get("authority").text(), Token: n.get("token").text()}
	if a.Authority == "" {
		a.Authority = a.Cluster
	}
	for i := range len(a.Token) {
		if a.Token[i] <= ' ' || a.Token[i] > '~' {
			n.get("token").fail("is no bearer token: it has white space or other than ASCII")
			break
		}
	}
	return a
}

func (c *Config) readKeys(n node) {
	n.object("static", "agent", "signers")
	if c.AskAgent = n.get("agent").flag(); c.AskAgent && c.Identity.Agent == nil {
		n.get("agent").fail("needs identity.agent, which says where the agent is")
	}
	n.get("signers").each(func(s node) {
		c.Signers = true
		s.object("principals", "jwk", "jwks", "issuer")
		if len(s.get("principals").strings()) == 0 {
			s.get("principals").fail("is missing or empty")
		}
		if s.get("jwk").there() == s.get("jwks").there() {
			s.fail("has not exactly one of jwk and jwks")
		}
	})
	c.Keys = kest.StaticKeys{}
	n.get("static").each(func(k node) {
		k.object("principal", "jwk")
		principal := k.get("principal").required()
		key, err := kest.ParsePublicKey(jcs.Append(nil, k.get("jwk").v))
		k.get("jwk").failed(err)
		c.Keys[principal] = append(c.Keys[principal], key)
	})
}

func (c *Config) readUser(n node) {
	if !n.there() {
		return
	}
	n.object("jwt", "required")
	jwt := n.get("jwt").object("metadata_key", "claims")
	claims := jwt.get("claims").object("user", "agent", "task")
	text := func(at node, fallback string) string {
		if !at.there() {
			return fallback
		}
		return at.required()
	}
	c.User = &UserConfig{
		MetadataKey: text(jwt.get("metadata_key"), "payload"), Required: n.get("required").flag(),
		User: text(claims.get("user"), "sub"), Agent: text(claims.get("agent"), defaultAgentClaim), Task: text(claims.get("task"), "scope"),
	}
	if c.InsecureActor {
		n.fail("contradicts insecure_baggage_identity")
	}
}

// withToken adds the agent's token to a call to it for a claim.
func (c *Config) withToken(call Call) Call {
	if a := c.Identity.Agent; a != nil && call.Cluster == a.Cluster && a.Token != "" {
		call.Headers = append(call.Headers, Header{"authorization", "Bearer " + a.Token})
	}
	return call
}

func (c *Config) readAuthority(n node) {
	c.TrustAllClaims = n.get("insecure_trust_all_claims").flag()
	a := n.get("authority")
	switch {
	case !a.there() && !c.TrustAllClaims:
		a.fail("is missing: say who may claim what, or insecure_trust_all_claims: true")
	case a.there() && c.TrustAllClaims:
		a.fail("contradicts insecure_trust_all_claims")
	case a.there():
		c.Authority = readGrants(a)
	}
}

func readGrants(a node) kest.Authority {
	grants := kest.Authority{}
	a.each(func(g node) {
		g.object("principal", "origins", "remove_taints", "max_override", "max_root_trust")
		grants = append(grants, kest.Grant{
			Principal: kest.Pattern(g.get("principal").required()), Origins: g.get("origins").strings(),
			RemoveTaints: g.get("remove_taints").patterns(),
			MaxOverride:  g.get("max_override").integer(0, 0, 100),
			MaxRootTrust: g.get("max_root_trust").integer(0, 0, 100),
		})
		for _, o := range grants[len(grants)-1].Origins {
			if _, known := (kest.Origins{}).Score(o); !known {
				g.get("origins").fail("the origin " + o + " is unknown")
			}
		}
	})
	return grants
}

// ParseAuthority reads an authority list, as it stands in a configuration, on its own.
func ParseAuthority(text []byte) (kest.Authority, error) {
	v, err := jcs.Parse(text)
	if err != nil {
		return nil, &ConfigError{"authority", err.Error()}
	}
	var first error
	grants := readGrants(node{v, "authority", &first})
	if first == nil && v.Kind() != jcs.Array {
		first = &ConfigError{"authority", "is " + v.Kind().String() + ", not an array"}
	}
	if first != nil {
		return nil, first
	}
	return grants, nil
}

func (c *Config) readLineage(n node) {
	n.object("strict_chain", "semantics", "schema", "peer", "grace", "limits")
	l := n.get("limits").object("entries", "entry_bytes", "bytes")
	limits := kest.DefaultLimits()
	limits.Entries = l.get("entries").integer(kest.ProxyEntries, 1, 1<<16)
	limits.EntryBytes = l.get("entry_bytes").integer(limits.EntryBytes, 1, 1<<30)
	limits.Bytes = l.get("bytes").integer(limits.Bytes, 1, 1<<30)
	c.Lineage = LineageConfig{
		StrictChain: n.get("strict_chain").flag(),
		PeerReport:  n.get("peer").choice("enforce", "report") == "report",
		Grace:       n.get("grace").duration(5 * time.Minute),
		Limits:      limits,
	}
	switch n.get("semantics").choice("enforce", "exact", "report") {
	case "exact":
		c.Lineage.Semantics = kest.SemanticsExact
	case "report":
		c.Lineage.Semantics = kest.SemanticsReport
	}
	if n.get("schema").choice("lenient", "strict") == "strict" {
		c.Lineage.Schema = kest.SchemaStrict
	}
}

func (c *Config) readPropagation(n node) {
	n.object("max_bytes", "compress", "claim_check", "accept")
	p := &c.Propagation
	p.MaxBytes = n.get("max_bytes").integer(4096, 64, 1<<20)
	p.Compress = true
	if n.get("compress").there() {
		p.Compress = n.get("compress").flag()
	}
	if claim := n.get("claim_check"); claim.there() {
		claim.object("cluster", "ttl")
		p.ClaimCluster = claim.get("cluster").required()
		p.ClaimTTL = claim.get("ttl").duration(kest.ClaimTTL)
		if p.ClaimTTL < time.Second {
			claim.get("ttl").fail("is under a second")
		}
	}
	p.Python = n.get("accept").choice("strict", "python") == "python"
}

func (c *Config) readEdge(n node) {
	n.object("strip_incoming", "allow_hosts")
	c.Edge.StripIncoming = n.get("strip_incoming").flag()
	if n.get("allow_hosts").there() {
		c.Edge.AllowHosts = append([]kest.Pattern{}, n.get("allow_hosts").patterns()...)
	}
}

// readClasses reads true, or a map from classification to taint (CONTRACT 5).
func (c *Config) readClasses(n node) {
	switch {
	case n.v.Kind() == jcs.Object:
		c.classificationClasses = make(map[string]string)
		for _, m := range n.v.Items() {
			if !slices.Contains(classifications, m.Name) {
				n.get(m.Name).fail("is no classification")
			}
			c.classificationClasses[m.Name] = n.get(m.Name).required()
		}
	case n.flag():
		c.classificationClasses = kest.DefaultClasses()
	}
}

var classifications = []string{
	kest.ClassSystem, kest.ClassData, kest.ClassCritic, kest.ClassSnapshot, kest.ClassSanitizer,
}

func (c *Config) readSubjects(n node) {
	n.each(func(s node) {
		s.object("user", "agent", "workload", "attributes")
		rule := SubjectRule{Attributes: s.get("attributes").v}
		s.get("attributes").want(jcs.Object)
		for _, kind := range [...]string{"user", "agent", "workload"} {
			if !s.get(kind).there() {
				continue
			}
			if rule.Kind != "" {
				s.fail("names more than one of user, agent and workload")
			}
			rule.Kind, rule.Pattern = kind, kest.Pattern(s.get(kind).required())
		}
		if rule.Kind == "" {
			s.fail("names none of user, agent and workload")
		}
		c.checkAttributes(s.get("attributes"))
		c.Subjects = append(c.Subjects, rule)
	})
}

// checkAttributes refuses numbers that Cedar can't hold, where it is asked.
func (c *Config) checkAttributes(n node) {
	if !c.asksCedar() {
		return
	}
	switch n.v.Kind() {
	case jcs.Number:
		if _, ok := n.v.Int(); !ok {
			n.fail("is a number that is no integer, which Cedar can't hold")
		}
	case jcs.Object:
		for _, m := range n.v.Items() {
			c.checkAttributes(n.get(m.Name))
		}
	case jcs.Array:
		n.each(c.checkAttributes)
	}
}

// Digest returns environment kest.config: the hex SHA-256 of the canonical
// configuration, every policy's digest and the build.
func (c *Config) Digest(policies map[string]string) string {
	names := make([]string, 0, len(policies))
	for name := range policies {
		names = append(names, name)
	}
	jcs.SortStrings(names)
	members := make([]jcs.Member, len(names))
	for i, name := range names {
		members[i] = jcs.Member{Name: name, Value: jcs.StringValue(policies[name])}
	}
	sum := sha256.Sum256(jcs.AppendObject(nil,
		jcs.Member{Name: "build", Value: jcs.StringValue(kest.Version)},
		jcs.Member{Name: "configuration", Value: withoutToken(c.document)},
		jcs.Member{Name: "policies", Value: jcs.ObjectValue(members...)},
	))
	return hex.EncodeToString(sum[:])
}

// withoutToken leaves the agent's token out: a hash of it, in every entry, would
// let others try what they guess.
func withoutToken(document *jcs.Value) jcs.Value {
	if document.Get("identity").Get("agent").Get("token").Kind() == jcs.Invalid {
		return *document
	}
	return replaced(*document, []string{"identity", "agent", "token"})
}

func replaced(v jcs.Value, path []string) jcs.Value {
	if len(path) == 0 {
		return jcs.StringValue("")
	}
	first, rest := path[0], path[1:]
	var members []jcs.Member
	for _, m := range v.Items() {
		if m.Name == first {
			m.Value = replaced(m.Value, rest)
		}
		members = append(members, m)
	}
	return jcs.ObjectValue(members...)
}
