package identityhost_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"kest.example/kest"
	"kest.example/kest/identityhost"
	"kest.example/kest/internal/jws"
	"kest.example/kest/kesttest"
)

// What a proxy gets is a binding of form (a) that names its key, and the agent
// finds the key from then on.
func TestSession(t *testing.T) {
	w := newWorld(t, setup{})
	for name, k := range map[string]sessionKey{"EdDSA": newSessionKey(t, "a"), "ES256": newES256Key(t)} {
		s := w.register(k)
		if s.WorkloadID != orders || s.KeyID != k.Key.Thumbprint() || !s.NotAfter.Equal(w.clock.Now().Add(time.Hour)) {
			t.Errorf("%s: %+v", name, s)
		}
		m, err := jws.Parse(s.Binding, kest.TypeBinding)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var claims struct {
			Sub string
			Exp int64
			Cnf struct{ JWK json.RawMessage }
		}
		if err := json.Unmarshal(m.Payload, &claims); err != nil || claims.Sub != orders || claims.Exp != s.NotAfter.Unix() || string(claims.Cnf.JWK) != k.Key.JWK() {
			t.Errorf("%s: the binding says %s (%v)", name, m.Payload, err)
		}
		w.each(func(c client, over string) {
			r := c.do(t, "GET", "/v1/keys/"+s.KeyID+"?principal="+orders, "")
			r.want(t, over, http.StatusOK)
			a := decode[keyAnswer](t, r)
			if string(a.JWK) != k.Key.JWK() || a.Principal != orders || a.Binding == nil || *a.Binding != s.Binding || a.MaxAge != 10 ||
				a.NotBefore == nil || !a.NotBefore.Equal(w.clock.Now()) || a.NotAfter == nil || !a.NotAfter.Equal(s.NotAfter) {
				t.Errorf("%s over %s: %s", name, over, r.body)
			}
		})
	}
}

// Each proof has one defect.
func TestProofsThatAreRefused(t *testing.T) {
	w := newWorld(t, setup{})
	k, other, ec := newSessionKey(t, "k"), newSessionKey(t, "other"), newES256Key(t)
	rsa := newRS256(t)
	now := w.clock.Now().Unix()
	header := func(jwk string) string {
		return `{"alg":"EdDSA","jwk":` + jwk + `,"typ":"kest-session+jws"}`
	}
	payload := func(iat int64) string {
		return fmt.Sprintf(`{"aud":"kest-agent","iat":%d,"jti":"%s"}`, iat, jti())
	}
	okp := func(x []byte) string { return `{"crv":"Ed25519","kty":"OKP","x":"` + jws.Encode(x) + `"}` }
	good := k.forge(header(k.jwk), payload(now))
	cut := strings.LastIndexByte(good, '.')
	private := strings.Replace(k.jwk, "{", `{"d":"AAAA",`, 1)
	rs := sessionKey{jwk: rsa.jwk, sign: rsa.sign}
	for name, c := range map[string]struct {
		proof  string
		status int
	}{
		"nothing":                   {"", 400},
		"no JWS":                    {"hello", 400},
		"two segments":              {good[:cut], 400},
		"four segments":             {good + ".AAAA", 400},
		"a line end":                {good + "\n", 400},
		"padding":                   {good + "=", 400},
		"JSON":                      {`{"payload":"e30"}`, 400},
		"another typ":               {k.forge(strings.Replace(header(k.jwk), "kest-session+jws", "JWS", 1), payload(now)), 400},
		"no typ":                    {k.forge(`{"alg":"EdDSA","jwk":`+k.jwk+`}`, payload(now)), 400},
		"alg none":                  {k.forge(strings.Replace(header(k.jwk), "EdDSA", "none", 1), payload(now)), 400},
		"the alg of another kind":   {k.forge(strings.Replace(header(k.jwk), "EdDSA", "ES256", 1), payload(now)), 400},
		"crit":                      {k.forge(strings.Replace(header(k.jwk), "{", `{"crit":["b64"],`, 1), payload(now)), 400},
		"no key":                    {k.forge(`{"alg":"EdDSA","typ":"kest-session+jws"}`, payload(now)), 400},
		"a private key":             {k.forge(header(private), payload(now)), 400},
		"a key for encryption":      {k.forge(header(strings.Replace(k.jwk, "{", `{"use":"enc",`, 1)), payload(now)), 400},
		"a repeated member":         {k.forge(header(strings.Replace(k.jwk, "{", `{"kty":"OKP",`, 1)), payload(now)), 400},
		"an RSA key":                {rs.forge(`{"alg":"RS256","jwk":`+rsa.jwk+`,"typ":"kest-session+jws"}`, payload(now)), 400},
		"a symmetric key":           {k.forge(header(`{"kty":"oct","k":"AAAA"}`), payload(now)), 400},
		"a key of order 1":          {k.forge(header(okp(append([]byte{1}, make([]byte, 31)...))), payload(now)), 400},
		"a key of order 2":          {k.forge(header(okp(append([]byte{0xec}, append(bytes.Repeat([]byte{0xff}, 30), 0x7f)...))), payload(now)), 400},
		"a key of order 4":          {k.forge(header(okp(make([]byte, 32))), payload(now)), 400},
		"a key off the curve":       {k.forge(header(okp(append([]byte{2}, make([]byte, 31)...))), payload(now)), 400},
		"a P-256 key off the curve": {k.forge(header(`{"crv":"P-256","kty":"EC","x":"`+jws.Encode(make([]byte, 32))+`","y":"`+jws.Encode(make([]byte, 32))+`"}`), payload(now)), 400},
		"a kid of another key":      {k.forge(strings.Replace(header(k.jwk), "{", `{"kid":"`+other.Key.Thumbprint()+`",`, 1), payload(now)), 400},
		"a binding in the header":   {k.forge(strings.Replace(header(k.jwk), "{", `{"binding":"a.b.c",`, 1), payload(now)), 400},
		"a payload that is a list":  {k.forge(header(k.jwk), `[]`), 400},
		"a payload without jti":     {k.forge(header(k.jwk), fmt.Sprintf(`{"aud":"kest-agent","iat":%d}`, now)), 400},
		"an empty jti":              {k.forge(header(k.jwk), fmt.Sprintf(`{"aud":"kest-agent","iat":%d,"jti":""}`, now)), 400},
		"a jti that is very long":   {k.forge(header(k.jwk), fmt.Sprintf(`{"aud":"kest-agent","iat":%d,"jti":"%s"}`, now, strings.Repeat("j", 200))), 400},
		"iat as a text":             {k.forge(header(k.jwk), fmt.Sprintf(`{"aud":"kest-agent","iat":"%d","jti":"x"}`, now)), 400},
		"iat as a fraction":         {k.forge(header(k.jwk), fmt.Sprintf(`{"aud":"kest-agent","iat":%d.5,"jti":"x"}`, now)), 400},
		"no aud":                    {k.forge(header(k.jwk), fmt.Sprintf(`{"iat":%d,"jti":"x"}`, now)), 400},
		"a list of aud":             {k.forge(header(k.jwk), fmt.Sprintf(`{"aud":["kest-agent"],"iat":%d,"jti":"x"}`, now)), 400},
		"a claim twice":             {k.forge(header(k.jwk), fmt.Sprintf(`{"aud":"kest-agent","iat":%d,"iat":1,"jti":"x"}`, now)), 400},
		"another aud":               {k.forge(header(k.jwk), fmt.Sprintf(`{"aud":"other","iat":%d,"jti":"x"}`, now)), 401},
		"signed by another":         {other.forge(header(k.jwk), payload(now)), 401},
		"signed by a P-256 key":     {ec.forge(header(k.jwk), payload(now)), 401},
		"no signature":              {good[:cut+1], 401},
		"another payload":           {good[:strings.IndexByte(good, '.')+1] + jws.Encode([]byte(payload(now))) + good[cut:], 401},
		"31 seconds old":            {k.forge(header(k.jwk), payload(now-31)), 401},
		"a year old":                {k.forge(header(k.jwk), payload(now-86400*365)), 401},
		"of the beginning":          {k.forge(header(k.jwk), payload(0)), 401},
		"31 seconds ahead":          {k.forge(header(k.jwk), payload(now+31)), 401},
		"very far ahead":            {k.forge(header(k.jwk), payload(1<<53-1)), 401},
		"too long":                  {good + strings.Repeat("A", 16<<10), 413},
		"good, 29 seconds old":      {k.forge(header(k.jwk), payload(now-29)), 200},
		"good, a little ahead":      {k.forge(header(k.jwk), payload(now+5)), 200},
		"good, with more members":   {k.forge(header(strings.Replace(k.jwk, "{", `{"alg":"EdDSA","use":"sig",`, 1)), strings.Replace(payload(now), "{", `{"more":1,`, 1)), 200},
	} {
		t.Run(name, func(t *testing.T) {
			for over, client := range w.clients {
				if c.status == 200 && over == "unix" {
					continue // once: the second would be a replay
				}
				r := client.do(t, "POST", "/v1/sessions", c.proof)
				r.want(t, over, c.status)
				if c.status != 200 && (strings.Contains(r.body, k.Key.Thumbprint()) || strings.Contains(r.body, jws.Encode([]byte{1, 2, 3})) || strings.Contains(r.body, `"x"`)) {
					t.Errorf("the answer repeats the key: %s", r.body)
				}
				if c.status == 401 && r.header.Get("WWW-Authenticate") == "" {
					t.Error("401 without WWW-Authenticate")
				}
			}
		})
	}
}

func TestReplays(t *testing.T) {
	w := newWorld(t, setup{})
	k, other := newSessionKey(t, "k"), newSessionKey(t, "other")
	proof := k.prove(t, w.clock.Now())
	post := func(c client, proof string) int { return c.do(t, "POST", "/v1/sessions", proof).status }
	if got := post(w.clients["unix"], proof); got != 200 {
		t.Fatal(got)
	}
	w.each(func(c client, over string) {
		if got := post(c, proof); got != 401 {
			t.Errorf("the same over %s: %d", over, got)
		}
	})
	for range 4 { // at every age it is either known or too old
		w.clock.add(20 * time.Second)
		if got := post(w.clients["unix"], proof); got != 401 {
			t.Errorf("later: %d", got)
		}
	}
	ahead := k.prove(t, w.clock.Now().Add(29*time.Second))
	if got := post(w.clients["unix"], ahead); got != 200 {
		t.Errorf("from a clock that is ahead: %d", got)
	}
	for range 6 {
		w.clock.add(10 * time.Second)
		if got := post(w.clients["unix"], ahead); got != 401 {
			t.Errorf("the same, later: %d", got)
		}
	}
	text, err := other.ProveKey(context.Background(), "shared", w.clock.Now())
	if err != nil {
		t.Fatal(err)
	}
	mine, err := k.ProveKey(context.Background(), "shared", w.clock.Now())
	if err != nil {
		t.Fatal(err)
	}
	if a, b := post(w.clients["unix"], text), post(w.clients["unix"], mine); a != 200 || b != 200 {
		t.Errorf("a jti that another key used: %d %d", a, b)
	}
}

// A proof that is sent many times at once is good for one.
func TestConcurrentReplays(t *testing.T) {
	w := newWorld(t, setup{})
	proof := newSessionKey(t, "k").prove(t, w.clock.Now())
	var wait sync.WaitGroup
	statuses := make([]int, 16)
	for i := range statuses {
		wait.Go(func() { statuses[i] = w.clients["unix"].do(t, "POST", "/v1/sessions", proof).status })
	}
	wait.Wait()
	good := 0
	for _, s := range statuses {
		if s == 200 {
			good++
		} else if s != 401 {
			t.Errorf("status %d", s)
		}
	}
	if good != 1 {
		t.Errorf("%d of 16 were taken", good)
	}
}

// However often a live key is registered, at once or later, it keeps its one
// binding: entries under it stay within its time.
func TestRegisteringAgain(t *testing.T) {
	for name, options := range map[string][]identityhost.AgentOption{"shared": nil, "local": {identityhost.WithLocalBindings()}} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, setup{options: options})
			k := newSessionKey(t, "k")
			var wait sync.WaitGroup
			bindings := make([]string, 16)
			for i := range bindings {
				wait.Go(func() { bindings[i] = w.register(k).Binding })
			}
			wait.Wait()
			w.clock.add(50 * time.Minute)
			for _, b := range append(bindings, w.register(k).Binding) {
				if b != bindings[0] {
					t.Fatal("one key has two bindings")
				}
			}
			w.clock.add(11 * time.Minute)
			r := w.clients["unix"].do(t, "POST", "/v1/sessions", k.prove(t, w.clock.Now()))
			r.want(t, "after its end", http.StatusConflict)
			w.clients["unix"].do(t, "GET", "/v1/keys/"+k.Key.Thumbprint()+"?principal="+orders, "").want(t, "in its grace", http.StatusOK)
			w.clock.add(10 * time.Minute)
			w.clients["unix"].do(t, "GET", "/v1/keys/"+k.Key.Thumbprint()+"?principal="+orders, "").want(t, "after its grace", http.StatusNotFound)
		})
	}
}

// An agent that has lost its memory finds the binding in the cache again.
func TestAnotherAgentOfTheSameCache(t *testing.T) {
	first := newWorld(t, setup{})
	second := newWorld(t, setup{cache: first.cache})
	k := newSessionKey(t, "k")
	bound := first.register(k)
	r := second.clients["unix"].do(t, "GET", "/v1/keys/"+bound.KeyID+"?principal="+orders, "")
	r.want(t, "at another agent", http.StatusOK)
	first.clock.add(time.Minute)
	second.clock.add(time.Minute)
	if again := second.register(k); again.Binding != bound.Binding || !again.NotAfter.Equal(bound.NotAfter) {
		t.Errorf("the second agent made %+v", again)
	}
	local := newWorld(t, setup{cache: first.cache, options: []identityhost.AgentOption{identityhost.WithLocalBindings()}})
	local.clients["unix"].do(t, "GET", "/v1/keys/"+bound.KeyID+"?principal="+orders, "").want(t, "at an agent on its own", http.StatusNotFound)
}

// replacing is a cache that can replace.
type replacing struct {
	mu     sync.Mutex
	values map[string][]byte
}

func newReplacing() *replacing { return &replacing{values: make(map[string][]byte)} }

func (c *replacing) Put(_ context.Context, key string, value []byte, _ time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.values[key]; ok {
		return kest.ErrExists
	}
	c.values[key] = bytes.Clone(value)
	return nil
}

func (c *replacing) Replace(_ context.Context, key string, value []byte, _ time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.values[key] = bytes.Clone(value)
	return nil
}

func (c *replacing) Get(_ context.Context, key string) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if v, ok := c.values[key]; ok {
		return bytes.Clone(v), nil
	}
	return nil, kest.ErrNotFound
}

// What stands in the cache for a key and doesn't verify gives way; what is
// another's stays, and only the agent's answer counts.
func TestWhatIsInTheCacheAlready(t *testing.T) {
	now := newClock().Now()
	end := now.Add(time.Hour)
	k := newSessionKey(t, "k")
	stranger, self := newSessionKey(t, "stranger"), kesttest.NewProvider(orders)
	own, err := self.Identity(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	id := k.Key.Thumbprint()
	longer := cached(orders, binding(t, own, k.Key, now), "", now.Add(24*time.Hour))
	for name, c := range map[string]struct {
		value              []byte
		replaces, createOn int
	}{
		"nothing of sense":      {[]byte("x"), 200, 409},
		"no JSON object":        {[]byte("[]"), 200, 409},
		"a forged binding":      {cached(orders, binding(t, stranger.Identity, k.Key, now), "", end), 200, 409},
		"another key's binding": {cached(orders, binding(t, own, stranger.Key, now), "", end), 200, 409},
		"another principal":     {cached("spiffe://example.org/x", binding(t, own, k.Key, now), "", end), 200, 409},
		"a long life":           {longer, 200, 200},
	} {
		for _, cache := range []kest.Cache{newReplacing(), createOnly{newReplacing()}} {
			status := c.replaces
			if _, ok := cache.(identityhost.Replacer); !ok {
				status = c.createOn
			}
			w := newWorld(t, setup{cache: cache})
			if err := cache.Put(context.Background(), identityhost.BindingKey(id), c.value, time.Hour); err != nil {
				t.Fatal(err)
			}
			r := w.clients["unix"].do(t, "POST", "/v1/sessions", k.prove(t, w.clock.Now()))
			r.want(t, name, status)
			if status != 200 {
				continue
			}
			if s := decode[registration](t, r); s.WorkloadID != orders || !s.NotAfter.Equal(end) {
				t.Errorf("%s: %+v", name, s)
			}
			w.clients["unix"].do(t, "GET", "/v1/keys/"+id+"?principal="+orders, "").want(t, name+", afterwards", http.StatusOK)
		}
	}
}

// createOnly hides Replace.
type createOnly struct{ kest.Cache }

// A key whose binding holds for another workload is not taken over.
func TestKeyOfAnotherWorkload(t *testing.T) {
	cache := newReplacing()
	w := newWorld(t, setup{cache: cache})
	k := newSessionKey(t, "k")
	const other = "spiffe://example.org/other"
	w.keys.Add(other, kest.Key{Public: k.Key, NotAfter: w.clock.Now().Add(time.Hour)})
	if err := cache.Put(context.Background(), identityhost.BindingKey(k.Key.Thumbprint()), cached(other, "a.b.c", "", w.clock.Now().Add(time.Hour)), time.Hour); err != nil {
		t.Fatal(err)
	}
	w.clients["unix"].do(t, "POST", "/v1/sessions", k.prove(t, w.clock.Now())).want(t, "another's", http.StatusConflict)
	w.keys.SetError(fmt.Errorf("no bundle: %w", kest.ErrUnavailable))
	w.clients["unix"].do(t, "POST", "/v1/sessions", k.prove(t, w.clock.Now())).want(t, "while nobody can tell", http.StatusServiceUnavailable)
}

// binder is a provider that binds keys itself.
type binder struct {
	*kesttest.Provider
	bound *kest.Bound
	err   error
}

func (b binder) Bind(context.Context, kest.PublicKey) (*kest.Bound, error) { return b.bound, b.err }

func TestProviderThatBinds(t *testing.T) {
	end := newClock().Now().Add(5*time.Minute + 300*time.Millisecond)
	good := kest.Bound{WorkloadID: orders, Binding: "token.for.key", InlineJWK: true, NotAfter: end}
	for name, c := range map[string]struct {
		change func(*kest.Bound)
		err    error
		status int
	}{
		"good":        {func(*kest.Bound) {}, nil, 200},
		"ended":       {func(b *kest.Bound) { b.NotAfter = newClock().Now() }, nil, 503},
		"no binding":  {func(b *kest.Bound) { b.Binding = "" }, nil, 503},
		"no workload": {func(b *kest.Bound) { b.WorkloadID = "" }, nil, 503},
		"away":        {func(*kest.Bound) {}, fmt.Errorf("throttled: %w", kest.ErrUnavailable), 503},
		"broken":      {func(*kest.Bound) {}, errBroken, 503},
	} {
		bound := good
		c.change(&bound)
		w := newWorld(t, setup{provider: binder{kesttest.NewProvider(orders), &bound, c.err}})
		k := newSessionKey(t, "k")
		r := w.clients["unix"].do(t, "POST", "/v1/sessions", k.prove(t, w.clock.Now()))
		r.want(t, name, c.status)
		if c.status != 200 {
			continue
		}
		if s := decode[registration](t, r); s.Binding != "token.for.key" || !s.NotAfter.Equal(end.Truncate(time.Second)) {
			t.Errorf("%+v", s)
		}
		w.keys.Add(orders, kest.Key{Public: k.Key, NotAfter: end, Binding: "token.for.key"})
		w.clients["unix"].do(t, "GET", "/v1/keys/"+k.Key.Thumbprint()+"?principal="+orders, "").want(t, "its key", 200)
		asked := w.keys.Asked()
		last := asked[len(asked)-1]
		if last.Binding != "" && (last.JWK != k.Key.JWK() || last.Binding != "token.for.key" || last.KeyID != k.Key.Thumbprint() || last.Algorithm != "EdDSA") {
			t.Errorf("asked for %+v", last)
		}
	}
}

func TestNoIdentityYet(t *testing.T) {
	w := newWorld(t, setup{})
	w.provider.SetError(fmt.Errorf("late: %w", kest.ErrUnavailable))
	k := newSessionKey(t, "k")
	proof := k.prove(t, w.clock.Now())
	w.each(func(c client, over string) {
		c.do(t, "GET", "/healthz", "").want(t, over, 200)
		c.do(t, "GET", "/readyz", "").want(t, over, 503)
		c.do(t, "POST", "/v1/sessions", proof).want(t, over, 503)
		c.do(t, "POST", "/v1/sessions", "x").want(t, over, 400)
	})
	if err := w.agent.Ready(context.Background()); !errors.Is(err, kest.ErrUnavailable) {
		t.Errorf("ready: %v", err)
	}
	w.provider.SetError(nil)
	w.clients["unix"].do(t, "GET", "/readyz", "").want(t, "ready", 200)
	w.clients["unix"].do(t, "POST", "/v1/sessions", proof).want(t, "the same proof, once it is ready", 200)
}

// fixed is a provider of one identity.
type fixed struct{ identity *kest.Identity }

func (f fixed) Identity(context.Context) (*kest.Identity, error) { return f.identity, nil }

// A binding ends with its identity, and an identity that has ended binds nothing.
func TestIdentityThatEnds(t *testing.T) {
	id := *newSessionKey(t, "workload").Identity
	id.WorkloadID, id.NotAfter = orders, newClock().Now().Add(90*time.Second)
	w := newWorld(t, setup{provider: fixed{&id}})
	if s := w.register(newSessionKey(t, "k")); !s.NotAfter.Equal(id.NotAfter) {
		t.Errorf("the binding ends at %v", s.NotAfter)
	}
	w.clock.add(91 * time.Second)
	w.clients["unix"].do(t, "POST", "/v1/sessions", newSessionKey(t, "l").prove(t, w.clock.Now())).want(t, "after its end", 503)
	w.clients["unix"].do(t, "GET", "/readyz", "").want(t, "ready", 503)
}

func TestSessionLimits(t *testing.T) {
	w := newWorld(t, setup{options: []identityhost.AgentOption{identityhost.WithMaxSessions(3), identityhost.WithSessionRate(2)}})
	c := w.clients["unix"]
	post := func(name string) reply {
		return c.do(t, "POST", "/v1/sessions", newSessionKey(t, name).prove(t, w.clock.Now()))
	}
	for i := range 3 {
		post(fmt.Sprint(i)).want(t, "a session", 200)
	}
	r := post("full")
	r.want(t, "a fourth key", 429)
	if r.header.Get("Retry-After") != "10" {
		t.Errorf("Retry-After %q", r.header.Get("Retry-After"))
	}
	r = post("rate")
	r.want(t, "a fifth in no time", 429)
	if r.header.Get("Retry-After") != "1" {
		t.Errorf("Retry-After %q", r.header.Get("Retry-After"))
	}
	w.clock.add(time.Second)
	post("0").want(t, "a key that is there, a second later", 200)
	post("full").want(t, "a fourth key, a second later", 429)
	w.clock.add(time.Hour + 11*time.Minute)
	post("full").want(t, "when the others are over", 200)
}

func TestOptionsOutOfRange(t *testing.T) {
	p, keys, cache := kesttest.NewProvider(orders), kesttest.NewKeySource(), newReplacing()
	for name, o := range map[string]identityhost.AgentOption{
		"no time":      identityhost.WithSessionTTL(0),
		"a long time":  identityhost.WithSessionTTL(2 * time.Hour),
		"no sessions":  identityhost.WithMaxSessions(0),
		"no rate":      identityhost.WithSessionRate(0),
		"no claims":    identityhost.WithMaxClaims(0),
		"minus grace":  identityhost.WithGrace(-1),
		"no clock":     identityhost.WithClock(nil),
		"minus claims": identityhost.WithMaxClaims(-1),
	} {
		if a, err := identityhost.NewAgent(p, keys, cache, o); !errors.Is(err, kest.ErrConfiguration) || a != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, make := range map[string]func() (*identityhost.Agent, error){
		"no provider": func() (*identityhost.Agent, error) { return identityhost.NewAgent(nil, keys, cache) },
		"no keys":     func() (*identityhost.Agent, error) { return identityhost.NewAgent(p, nil, cache) },
		"no cache":    func() (*identityhost.Agent, error) { return identityhost.NewAgent(p, keys, nil) },
	} {
		if a, err := make(); !errors.Is(err, kest.ErrConfiguration) || a != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A cache that is away or full refuses new bindings: no other agent would find
// them. Those that are there go on.
func TestCacheThatIsAway(t *testing.T) {
	w := newWorld(t, setup{cache: brokenCache{}})
	w.clients["unix"].do(t, "POST", "/v1/sessions", newSessionKey(t, "k").prove(t, w.clock.Now())).want(t, "away", 503)
	w.clients["unix"].do(t, "GET", "/v1/keys/"+newSessionKey(t, "k").Key.Thumbprint()+"?principal="+orders, "").want(t, "away", 503)
	away := &switching{Cache: newReplacing()}
	w = newWorld(t, setup{cache: away})
	k := newSessionKey(t, "k")
	s := w.register(k)
	away.set(errBroken)
	w.clients["unix"].do(t, "GET", "/v1/keys/"+s.KeyID+"?principal="+orders, "").want(t, "its own key", 200)
	w.clients["unix"].do(t, "GET", "/v1/keys/"+newSessionKey(t, "l").Key.Thumbprint()+"?principal="+orders, "").want(t, "another key", 503)
	w.clients["unix"].do(t, "POST", "/v1/sessions", k.prove(t, w.clock.Now())).want(t, "the same key", 503)
	away.set(kest.ErrFull)
	w.clients["unix"].do(t, "POST", "/v1/sessions", newSessionKey(t, "m").prove(t, w.clock.Now())).want(t, "full", 503)
	away.set(nil)
	w.clients["unix"].do(t, "POST", "/v1/sessions", k.prove(t, w.clock.Now())).want(t, "back again", 200)
}

// switching is a cache that a test takes away.
type switching struct {
	kest.Cache
	mu  sync.Mutex
	err error
}

func (s *switching) set(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

func (s *switching) failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

func (s *switching) Put(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	if err := s.failure(); err != nil {
		return err
	}
	return s.Cache.Put(ctx, key, value, ttl)
}

func (s *switching) Get(ctx context.Context, key string) ([]byte, error) {
	if err := s.failure(); err != nil && !errors.Is(err, kest.ErrFull) {
		return nil, err
	}
	return s.Cache.Get(ctx, key)
}

// A cache that has lost everything gets the live bindings again, nobody asking.
func TestCacheThatLostItsMemory(t *testing.T) {
	cache := newReplacing()
	w, other := newWorld(t, setup{cache: cache}), newWorld(t, setup{cache: cache})
	s := w.register(newSessionKey(t, "k"))
	path := "/v1/keys/" + s.KeyID + "?principal=" + orders
	delete(cache.values, identityhost.BindingKey(s.KeyID))
	other.clients["unix"].do(t, "GET", path, "").want(t, "lost", 404)
	w.agent.Publish(context.Background())
	other.clients["unix"].do(t, "GET", path, "").want(t, "there again", 200)
	w.agent.Publish(context.Background())
	w.clock.add(time.Hour)
	delete(cache.values, identityhost.BindingKey(s.KeyID))
	w.agent.Publish(context.Background())
	if len(cache.values) != 0 {
		t.Error("a binding that has ended was put there again")
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	w.agent.Maintain(ctx) // returns
}
