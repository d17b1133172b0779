// Package plugin is the filter as a state machine without I/O: a request goes
// in, a Step comes out (go on with edits, answer, or call out and resume).
// Envoy, the Go host, the in-process hook and tests are drivers of it.
package plugin

import (
	"encoding/hex"
	"io"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"kest.example/kest"
	"kest.example/kest/internal/hostcall"
)

// Level is how loud a log message is.
type Level int

// Levels of log messages.
const (
	LevelInfo Level = iota
	LevelWarn
	LevelError
)

// LocalEngine is an engine in this process that knows its policies.
type LocalEngine interface {
	kest.Engine
	kest.PolicyDigester
}

// ForeignFunc calls a function of the host's by name; ok is false where the
// host has no such function or it failed.
type ForeignFunc func(name string, argument []byte) (result []byte, ok bool)

// Environment is what a filter needs from around it. Nothing in it may block.
type Environment struct {
	Now    func() time.Time
	Random io.Reader
	Log    func(level Level, message string)
	// Foreign calls one of the host functions kest.*.
	Foreign ForeignFunc
	// SharedGet and SharedSet are the table that all filters of this process
	// share; nil where there is none. A cas of 0 writes over whatever is there,
	// another one only over what was read with it.
	SharedGet func(key string) (value []byte, cas uint32, ok bool)
	SharedSet func(key string, value []byte, cas uint32) (ok bool)
	// Cedar makes the engine of policies.cedar; nil in a guest without one.
	Cedar func(policies map[string]string) (LocalEngine, error)
	// Rego gives the Rego that is compiled in, or that the host runs beside the
	// guest and serves by foreign functions; nil in a guest without any.
	Rego func(foreign ForeignFunc) (RegoEngine, error)
	// VerifyOnly makes the filter of guest/lineage: it verifies and refuses,
	// and neither decides nor signs.
	VerifyOnly bool
}

// Filter is the state of one VM. Its methods may be called from one goroutine
// at a time, but for Begin, Resume and everything they touch, which are safe
// for concurrent use natively.
type Filter struct {
	config     *Config
	env        Environment
	verifier   *kest.Verifier
	workshop   kest.Workshop
	engines    map[string]engine // by policy
	shadows    atomic.Int32      // shadow policies that are being asked by calls
	identity   *kest.Identity    // nil where the agent binds session's keys
	agent      *agent
	agentKeys  *agentKeys // nil: all keys are in the configuration
	session    *session
	background background
	hasClaim   bool // kest.claim_put answers
}

// New checks a configuration and makes a filter of it. The error is a
// *ConfigError, or says what else is missing.
func New(configuration []byte, env Environment) (*Filter, error) {
	config, err := ParseConfig(configuration)
	if err != nil {
		return nil, err
	}
	f := &Filter{config: config, env: env}
	if config.Identity.Agent != nil {
		f.agent = &agent{f, config.Identity.Agent}
	}
	if err := f.makeVerifier(); err != nil {
		return nil, err
	}
	_, f.hasClaim = f.foreign(hostcall.ClaimGet, []byte(noClaim))
	if config.Egress {
		f.warnings()
		return f, f.markEgress()
	}
	if env.VerifyOnly {
		f.warnings()
		return f, nil
	}
	if err := f.makeIdentity(); err != nil {
		return nil, err
	}
	if err := f.makeEngine(); err != nil {
		return nil, err
	}
	f.warnings()
	return f, nil
}

func (f *Filter) makeVerifier() (err error) {
	f.nativeDigest()
	c := f.config
	options := []kest.VerifierOption{
		kest.WithLimits(c.Lineage.Limits), kest.WithSchema(c.Lineage.Schema), kest.WithSemantics(c.Lineage.Semantics),
		kest.WithGrace(c.Lineage.Grace), kest.WithClock(f.env.Now),
	}
	if c.Lineage.StrictChain {
		options = append(options, kest.WithStrictChain())
	}
	if c.Lineage.PeerReport {
		options = append(options, kest.WithPeerReport())
	}
	if c.TrustAllClaims {
		options = append(options, kest.InsecureTrustAllClaims())
	}
	if _, ok := f.foreign(hostcall.Verify, nil); ok {
		options = append(options, kest.WithSignatureVerifier(hostVerifier{f}))
	} else if f.env.Foreign != nil {
		options = append(options, kest.WithSignatureVerifier(envoyVerifier{f}))
	}
	var source kest.KeySource = c.Keys
	if c.AskAgent {
		f.agentKeys = &agentKeys{f: f, by: make(map[keyID]*agentKey)}
		source = f.agentKeys
	}
	f.verifier, err = kest.NewVerifier(source, c.Authority, options...)
	return err
}

func (f *Filter) makeIdentity() error {
	c := f.config
	if f.agent != nil {
		f.session = &session{f: f}
		return f.checkAlgorithm()
	}
	seed := c.Identity.Seed
	if c.Identity.Local {
		seed = make([]byte, 32)
		if _, err := io.ReadFull(f.env.Random, seed); err != nil {
			return err
		}
	}
	if seed == nil {
		return &ConfigError{"identity", "needs exactly one of agent, insecure_seed and insecure_local"}
	}
	identity, err := kest.SeedIdentity(c.Workload, seed)
	if err != nil {
		return &ConfigError{"identity", err.Error()}
	}
	identity.Signer = f.nativeSigner(seed, identity.Signer)
	f.identity = identity
	// What this workload signed comes back to it in its own later hops.
	c.Keys[c.Workload] = append(c.Keys[c.Workload], identity.Key)
	return nil
}

// noClaim is the UUID of no claim: asking for it tells whether the host keeps claims.
const noClaim = "00000000-0000-4000-8000-000000000000"

func (f *Filter) makeEngine() error {
	c := f.config
	digests, err := f.makeEngines()
	if err != nil {
		return err
	}
	if err := c.CheckPolicies(f.isDefined); err != nil {
		return err
	}
	f.workshop = kest.Workshop{
		Policies: c.Policies, Random: f.env.Random, Digest: c.Digest(digests),
		Classes: c.classificationClasses,
	}
	for _, r := range c.all() {
		if err := f.workshop.Ready(&r.Hop, f.env.Now()); err != nil {
			return err
		}
	}
	return nil
}

// CheckPolicies wants every policy that is named anywhere to be defined, and
// every route to have one to enforce (spec 11.6).
func (c *Config) CheckPolicies(defined func(name string) bool) error {
	check := func(path string, names []string) error {
		for i, name := range names {
			if !defined(name) {
				return &ConfigError{path + "[" + strconv.Itoa(i) + "]", "policy " + strconv.Quote(name) + " is not defined"}
			}
		}
		return nil
	}
	for _, t := range [...]struct {
		path  string
		names []string
	}{
		{"kest.enterprise_policies", c.Policies.Enterprise},
		{"kest.platform_policies", c.Policies.Platform},
		{"kest.app_policies", c.Policies.Application},
		{"kest.shadow_policies", c.Policies.Shadow},
	} {
		if err := check(t.path, t.names); err != nil {
			return err
		}
	}
	for i, r := range c.all() {
		path := "default_route"
		if r != c.DefaultRoute {
			path = "routes[" + strconv.Itoa(i) + "]"
		}
		if err := check(path+".policies", r.Hop.Policies); err != nil {
			return err
		}
		if err := check(path+".shadow_policies", r.Hop.ShadowPolicies); err != nil {
			return err
		}
		if len(c.Policies.Enterprise)+len(c.Policies.Platform)+len(c.Policies.Application)+len(r.Hop.Policies) == 0 {
			return &ConfigError{path + ".policies", "is empty, and no higher tier has a policy"}
		}
	}
	return nil
}

func (f *Filter) warnings() {
	c := f.config
	for _, w := range [...]struct {
		on   bool
		text string
	}{
		{f.identity != nil && c.Identity.Seed != nil, "identity.insecure_seed: whoever has the seed is this workload; for tests only"},
		{f.identity != nil && c.Identity.Local, "identity.insecure_local: nobody vouches for this key; for development only"},
		{c.TrustAllClaims, "insecure_trust_all_claims: anybody with a key may claim any origin and remove any taint"},
		{c.InsecureActor, "insecure_baggage_identity: callers say themselves who the user is"},
		{f.env.VerifyOnly && len(c.Cedar) > 0, "this filter verifies only: its policies are not decided here"},
		{c.Egress && len(c.Routes) > 0, "direction egress makes no entry: its routes are not used"},
	} {
		if w.on {
			f.log(LevelWarn, w.text)
		}
	}
	for i, g := range c.Authority {
		if len(g.Origins) > 0 && g.MaxRootTrust == 0 {
			f.log(LevelWarn, "authority["+strconv.Itoa(i)+"]: origins without max_root_trust let no root have any trust")
		}
	}
}

func (f *Filter) log(level Level, text string) {
	if f.env.Log != nil {
		f.env.Log(level, "kest: "+text)
	}
}

func (f *Filter) logShadow(policy string, d kest.Decision, err error) {
	text := "shadow policy " + strconv.Quote(policy) + " would deny: " + d.Reason
	switch {
	case err != nil:
		text = "shadow policy " + strconv.Quote(policy) + " would deny: " + err.Error()
	case d.Allow:
		text = "shadow policy " + strconv.Quote(policy) + " would allow"
	}
	f.log(LevelInfo, text)
}

// traceID returns the trace id of a valid W3C traceparent, or "".
func traceID(traceparent string) string {
	const size = len("00-0123456789abcdef0123456789abcdef-0123456789abcdef-00")
	if len(traceparent) < size || traceparent[2] != '-' || traceparent[35] != '-' || traceparent[52] != '-' {
		return ""
	}
	version, trace, parent, flags := traceparent[:2], traceparent[3:35], traceparent[36:52], traceparent[53:size]
	if !lowerHex(version) || !lowerHex(trace) || !lowerHex(parent) || !lowerHex(flags) || version == "ff" {
		return ""
	}
	if more := traceparent[size:]; more != "" && (version == "00" || more[0] != '-') {
		return ""
	}
	if strings.Trim(trace, "0") == "" || strings.Trim(parent, "0") == "" {
		return ""
	}
	return trace
}

func lowerHex(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

func (f *Filter) newTraceparent() (header, id string, err error) {
	var b [24]byte
	if _, err := io.ReadFull(f.env.Random, b[:]); err != nil {
		return "", "", err
	}
	var text [55]byte
	copy(text[:], "00-")
	hex.Encode(text[3:], b[:16])
	text[35] = '-'
	hex.Encode(text[36:], b[16:])
	copy(text[52:], "-01")
	header = string(text[:])
	return header, header[3:35], nil
}
