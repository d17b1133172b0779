package plugin

import (
	"context"
	"crypto/sha256"
	"strings"
	"sync"
	"time"

	"kest.example/kest"
	"kest.example/kest/internal/jcs"
)

// agentKeys are the keys that the agent vouches for, for as long as it says so.
// It is a kest.KeySource that answers from memory, and says which keys are to
// be fetched where it can't.
type agentKeys struct {
	f  *Filter
	mu sync.Mutex
	by map[keyID]*agentKey
}

// keyID names a key: the principal and its kid, or a digest of what came inline.
type keyID struct{ principal, material string }

// agentKey is what the agent said of a key, or that it was asked.
type agentKey struct {
	request kest.KeyRequest
	keys    []kest.Key              // none: the agent knows none
	fault   *kest.VerificationError // it doesn't verify
	failure error                   // the agent couldn't tell
	asked   time.Time               // when the answer came
	maxAge  time.Duration
	failing time.Time // since when asking again fails; zero when it doesn't
	used    time.Time
	flying  bool
	waiters []*Exchange
}

// Bounds of the keys in memory.
const (
	maxAgentKeys  = 1024
	negativeAge   = 5 * time.Second  // how long a "no" is remembered
	failureAge    = time.Second      // and a failure to tell
	defaultMaxAge = 10 * time.Second // where the agent says none
	highestMaxAge = 10 * time.Minute
	idleAge       = time.Minute // a key that nobody used for so long isn't asked for again
)

// missing collects the keys that one verification lacks.
type missing struct{ list []kest.KeyRequest }

type missingKey struct{}

func identify(r kest.KeyRequest) keyID {
	if r.Binding == "" && len(r.X5C) == 0 {
		return keyID{r.Principal, r.KeyID}
	}
	sum := sha256.Sum256([]byte(r.KeyID + "\x00" + r.Binding + "\x00" + r.JWK + "\x00" + strings.Join(r.X5C, "\x00")))
	return keyID{r.Principal, string(sum[:])}
}

// askable reports whether there is anything to ask the agent by.
func askable(r kest.KeyRequest) bool { return r.KeyID != "" || r.Binding != "" || len(r.X5C) > 0 }

// Known implements kest.KnownKeySource.
func (a *agentKeys) Known(r kest.KeyRequest) bool {
	if !askable(r) || a.f.ownKeys(r) != nil || a.static(r) != nil {
		return true
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	k := a.by[identify(r)]
	return k != nil && k.current(a.f.env.Now(), a.f.config.Lineage.Grace)
}

// static returns what configuration holds of the kid. A kid that is no
// thumbprint of a static key may still be the agent's.
func (a *agentKeys) static(r kest.KeyRequest) []kest.Key {
	for _, k := range a.f.config.Keys[r.Principal] {
		if k.Thumbprint() == r.KeyID {
			return []kest.Key{{Public: k}}
		}
	}
	return nil
}

// Keys implements kest.KeySource.
func (a *agentKeys) Keys(ctx context.Context, r kest.KeyRequest) ([]kest.Key, error) {
	if own := a.f.ownKeys(r); own != nil {
		return own, nil
	}
	if static := a.static(r); static != nil {
		return static, nil
	}
	if !askable(r) {
		return a.f.config.Keys.Keys(ctx, r)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.f.env.Now()
	k := a.by[identify(r)]
	if k == nil || !k.current(now, a.f.config.Lineage.Grace) {
		if m, ok := ctx.Value(missingKey{}).(*missing); ok {
			m.list = append(m.list, r)
		}
		return nil, kest.ErrKeyPending
	}
	k.used = now
	switch {
	case k.fault != nil:
		return nil, k.fault
	case k.failure != nil:
		return nil, k.failure
	case len(k.keys) == 0:
		return a.f.config.Keys.Keys(ctx, r) // a kid may be a workload id
	}
	return k.keys, nil
}

// current reports whether an answer still counts.
func (k *agentKey) current(now time.Time, grace time.Duration) bool {
	age := now.Sub(k.asked)
	switch {
	case k.asked.IsZero() || age < 0:
		return false
	case k.failure != nil:
		return age < failureAge
	case len(k.keys) == 0:
		return age < negativeAge
	case !k.failing.IsZero(): // the agent is away
		return age < k.maxAge+grace
	}
	return age < k.maxAge
}

// await notes that a request waits for keys: for how many, and which of them
// nobody has asked for yet.
func (a *agentKeys) await(x *Exchange, list []kest.KeyRequest) (open int, ask []*agentKey) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.f.env.Now()
	seen := make(map[keyID]bool)
	for _, r := range list {
		id := identify(r)
		if seen[id] {
			continue
		}
		seen[id] = true
		k := a.by[id]
		if k == nil {
			a.makeRoom(now)
			k = &agentKey{request: r}
			a.by[id] = k
		}
		k.used = now
		k.waiters = append(k.waiters, x)
		open++
		if !k.flying {
			k.flying = true
			ask = append(ask, k)
		}
	}
	return open, ask
}

func (a *agentKeys) ask(k *agentKey) {
	a.f.agent.key(k.request, func(result CallResult) { a.answered(k, result) })
}

// answered takes the agent's word for a key, and wakes who waits for it.
func (a *agentKeys) answered(k *agentKey, result CallResult) {
	a.mu.Lock()
	now := a.f.env.Now()
	k.take(result, now)
	k.flying = false
	waiters := k.waiters
	k.waiters = nil
	a.mu.Unlock()
	a.f.background.ended(waiters)
}

// take notes an answer. One that doesn't come leaves a key as it was.
func (k *agentKey) take(result CallResult, now time.Time) {
	switch result.Status {
	case 200:
		key, maxAge, detail := readKey(result.Body, k.request)
		if detail != "" {
			k.failed("the agent's answer: "+detail, now)
			return
		}
		*k = agentKey{request: k.request, keys: []kest.Key{key}, maxAge: maxAge, asked: now, used: k.used, waiters: k.waiters}
	case 404:
		*k = agentKey{request: k.request, asked: now, used: k.used, waiters: k.waiters}
	case 400, 403:
		*k = agentKey{request: k.request, asked: now, used: k.used, waiters: k.waiters, fault: &kest.VerificationError{
			Index: -1, Reason: kest.ReasonBinding, Detail: "the agent doesn't vouch for its key",
		}}
	default:
		k.failed(answered(result.Status), now)
	}
}

func (k *agentKey) failed(detail string, now time.Time) {
	if len(k.keys) > 0 {
		if k.failing.IsZero() {
			k.failing = now
		}
		return
	}
	k.failure, k.asked = &unavailableError{detail}, now
}

// unavailableError makes a request 503.
type unavailableError struct{ detail string }

func (e *unavailableError) Error() string { return e.detail }

func (e *unavailableError) Unwrap() error { return kest.ErrUnavailable }

// readKey reads the agent's answer about a key.
func readKey(body []byte, r kest.KeyRequest) (k kest.Key, maxAge time.Duration, detail string) {
	v, err := jcs.Parse(body)
	if err != nil {
		return kest.Key{}, 0, err.Error()
	}
	if v.Get("principal").Str() != r.Principal {
		return kest.Key{}, 0, "it is about another principal"
	}
	if k.Public, err = kest.ParsePublicKey(jcs.Append(nil, v.Get("jwk"))); err != nil {
		return kest.Key{}, 0, err.Error()
	}
	inline := r.Binding != "" || len(r.X5C) > 0
	if r.KeyID != "" && !inline && k.Public.Thumbprint() != r.KeyID {
		return kest.Key{}, 0, "it is about another key"
	}
	var ok, okToo bool
	k.NotBefore, ok = instant(v.Get("not_before"))
	k.NotAfter, okToo = instant(v.Get("not_after"))
	if !ok || !okToo {
		return kest.Key{}, 0, "not_before or not_after is no time"
	}
	k.Binding = v.Get("binding").Str()
	maxAge = defaultMaxAge
	if seconds, ok := v.Get("max_age").Int(); ok && seconds > 0 {
		maxAge = min(time.Duration(seconds)*time.Second, highestMaxAge)
	}
	return k, maxAge, ""
}

// tick asks again for keys in use before they run out, and forgets the rest.
func (a *agentKeys) tick(now time.Time) {
	var ask []*agentKey
	a.mu.Lock()
	for id, k := range a.by {
		if k.flying {
			continue
		}
		switch {
		case !k.current(now, a.f.config.Lineage.Grace) || now.Sub(k.used) > idleAge && now.Sub(k.asked) > k.maxAge:
			delete(a.by, id)
		case len(k.keys) > 0 && now.Sub(k.used) <= idleAge && now.Sub(k.asked) >= k.maxAge*2/3:
			k.flying = true
			ask = append(ask, k)
		}
	}
	a.mu.Unlock()
	for _, k := range ask {
		a.ask(k)
	}
}

// makeRoom forgets a key where there are too many: one that isn't there, else
// the one that nobody used for longest.
func (a *agentKeys) makeRoom(now time.Time) {
	if len(a.by) < maxAgentKeys {
		return
	}
	var oldest keyID
	age := time.Duration(-1)
	for id, k := range a.by {
		unused := now.Sub(k.used)
		if len(k.keys) == 0 {
			unused += time.Hour
		}
		if !k.flying && unused > age {
			oldest, age = id, unused
		}
	}
	delete(a.by, oldest)
}
