package plugin

import (
	"unicode/utf8"

	"kest.example/kest"
)

// UserConfig says which claims of a token that the host has verified are the
// user, the agent and the task (CONTRACT 9).
type UserConfig struct {
	MetadataKey string // jwt_authn's payload_in_metadata
	User        string
	Agent       string
	Task        string
	Required    bool // no token is 401
}

// hasToken reports whether the host verified a token of this request.
func (x *Exchange) hasToken() bool {
	if x.f.config.User == nil || x.claims == nil {
		return false
	}
	// Envoy can't show an object that holds a null, so that of a token with
	// one it shows the single claims alone.
	for _, name := range [...]string{"", "iss", "sub", "exp"} {
		path := []string{x.f.config.User.MetadataKey, name}
		if name == "" {
			path = path[:1]
		}
		if _, ok := x.claims(path...); ok {
			return true
		}
	}
	return false
}

// claim returns a claim that is a text, or "". The host hands over numbers,
// lists and the like in binary forms, which are no text with only characters
// that can be seen.
func (x *Exchange) claim(path ...string) string {
	text, _ := x.claims(append([]string{x.f.config.User.MetadataKey}, path...)...)
	if !utf8.ValidString(text) {
		return ""
	}
	for i := range len(text) {
		if text[i] < ' ' || text[i] == 0x7f {
			return ""
		}
	}
	return text
}

// findActor finds who acts (CONTRACT 7, "identity is proven"): a token says all
// three, what it doesn't hold is null; else what the parents signed.
func (x *Exchange) findActor() {
	switch {
	case x.hasToken():
		x.tokenActor()
	case x.f.config.InsecureActor:
		x.actor = x.incoming.Actor
	default:
		x.actor = kest.ProvenActor(x.incoming.Actor, x.lineage)
	}
}

// maxActors bounds the chain of actors that is read.
const maxActors = 8

// tokenActor reads the token. With act (RFC 8693 section 4.1) the outermost
// actor is the agent, and the chain is kept whole.
func (x *Exchange) tokenActor() {
	u := x.f.config.User
	x.actor = kest.Actor{User: x.claim(u.User), Agent: x.claim(u.Agent), Task: x.claim(u.Task)}
	if u.Agent == defaultAgentClaim && x.actor.Agent == "" {
		x.actor.Agent = x.claim("azp")
	}
	x.act = nil
	path := []string{"act"}
	for len(x.act) < maxActors {
		sub := x.claim(append(path, "sub")...)
		if sub == "" {
			break
		}
		x.act = append(x.act, sub)
		path = append(path, "act")
	}
	if len(x.act) > 0 {
		x.actor.Agent = x.act[0]
	}
}

// defaultAgentClaim stands beside azp, which other issuers write.
const defaultAgentClaim = "client_id"
