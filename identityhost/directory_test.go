package identityhost_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"net/url"
	"strings"
	"testing"
	"time"

	"kest.example/kest"
	"kest.example/kest/identityhost"
	"kest.example/kest/internal/jws"
	"kest.example/kest/kesttest"
)

const gateway = "spiffe://example.org/gw"

func keyPath(keyID, principal string) string {
	return "/v1/keys/" + url.PathEscape(keyID) + "?principal=" + url.QueryEscape(principal)
}

// Static keys, and the agent's own, need no binding and no end.
func TestKeysWithoutABinding(t *testing.T) {
	w := newWorld(t, setup{})
	static := newSessionKey(t, "static")
	w.keys.Add(gateway, kest.Key{Public: static.Key})
	for name, c := range map[string]struct {
		path string
		key  kest.PublicKey
	}{
		"a static key":    {keyPath(static.Key.Thumbprint(), gateway), static.Key},
		"the agent's own": {keyPath(w.provider.Key().Thumbprint(), orders), w.provider.Key()},
	} {
		w.each(func(client client, over string) {
			r := client.do(t, "GET", c.path, "")
			r.want(t, name+" over "+over, 200)
			a := decode[keyAnswer](t, r)
			if string(a.JWK) != c.key.JWK() || a.Binding != nil || a.NotBefore != nil || a.NotAfter != nil || a.MaxAge != 10 {
				t.Errorf("%s: %s", name, r.body)
			}
		})
	}
}

func TestKeysThatAreRefused(t *testing.T) {
	w := newWorld(t, setup{})
	s := w.register(newSessionKey(t, "k"))
	own, revoked, forger := w.provider.Key().Thumbprint(), newSessionKey(t, "revoked"), newSessionKey(t, "forger")
	w.keys.Add(gateway, kest.Key{Public: revoked.Key, Revoked: true})
	put := func(key kest.PublicKey, value []byte) string {
		if err := w.cache.Put(context.Background(), identityhost.BindingKey(key.Thumbprint()), value, time.Hour); err != nil {
			t.Fatal(err)
		}
		return key.Thumbprint()
	}
	now := w.clock.Now()
	forged := newSessionKey(t, "forged")
	forgedID := put(forged.Key, cached(orders, binding(t, forger.Identity, forged.Key, now), "", now.Add(time.Hour)))
	junk := put(newSessionKey(t, "junk").Key, []byte("\xff"))
	others := put(newSessionKey(t, "others").Key, cached("spiffe://foreign.example/x", "a.b.c", "", now.Add(time.Hour)))
	for name, c := range map[string]struct {
		path   string
		status int
	}{
		"no principal":              {"/v1/keys/" + own, 400},
		"an empty principal":        {"/v1/keys/" + own + "?principal=", 400},
		"two principals":            {"/v1/keys/" + own + "?principal=a&principal=b", 400},
		"a query that is malformed": {"/v1/keys/" + own + "?principal=%zz", 400},
		"a very long principal":     {keyPath(own, strings.Repeat("p", 3000)), 400},
		"an unknown key":            {keyPath(forger.Key.Thumbprint(), orders), 404},
		"a kid of another form":     {keyPath("arn:aws:kms:eu-west-1:1:key/x", orders+"/x"), 404},
		"a kid that is a workload":  {keyPath(gateway, gateway), 404},
		"another's":                 {keyPath(s.KeyID, gateway), 404},
		"the own key for another":   {keyPath(own, gateway+"/x"), 404},
		"the principal in capitals": {keyPath(s.KeyID, strings.ToUpper(orders)), 404},
		"another's in the cache":    {keyPath(others, orders), 404},
		"a forged binding":          {keyPath(forgedID, orders), 403},
		"junk in the cache":         {keyPath(junk, orders), 403},
		"nobody vouches":            {keyPath(others, "spiffe://foreign.example/x"), 403},
		"a revoked key":             {keyPath(revoked.Key.Thumbprint(), gateway), 403},
	} {
		w.each(func(client client, over string) {
			client.do(t, "GET", c.path, "").want(t, name+" over "+over, c.status)
		})
	}
	w.keys.SetError(fmt.Errorf("no bundle: %w", kest.ErrUnavailable))
	w.clients["unix"].do(t, "GET", keyPath(forger.Key.Thumbprint(), gateway), "").want(t, "no bundle yet", 503)
	w.clients["unix"].do(t, "GET", keyPath(s.KeyID, orders), "").want(t, "a key by the own one, no bundle yet", 200)
	w.keys.SetError(&kest.VerificationError{Index: -1, Reason: kest.ReasonBinding})
	w.clients["unix"].do(t, "GET", keyPath(others, "spiffe://foreign.example/x"), "").want(t, "a binding that fails", 403)
	w.clients["unix"].do(t, "GET", keyPath(forger.Key.Thumbprint(), gateway), "").want(t, "no binding that could fail", 404)
	w.keys.SetError(errBroken)
	w.clients["unix"].do(t, "GET", keyPath(others, "spiffe://foreign.example/x"), "").want(t, "an error of no kind", 503)
}

// Each binding has one defect; the own key signed all but those of strangers.
func TestBindingsByTheOwnKey(t *testing.T) {
	w := newWorld(t, setup{})
	own, err := w.provider.Identity(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	k, now := newSessionKey(t, "k"), w.clock.Now()
	sign := func(header, payload string) string {
		input := jws.Encode([]byte(header)) + "." + jws.Encode([]byte(payload))
		signature, err := own.Signer.Sign(context.Background(), []byte(input))
		if err != nil {
			t.Fatal(err)
		}
		return input + "." + jws.Encode(signature)
	}
	header := `{"alg":"EdDSA","kid":"` + own.Key.Thumbprint() + `","typ":"kest-binding+jwt"}`
	payload := func(sub, cnf string, iat, exp int64) string {
		return fmt.Sprintf(`{"cnf":%s,"exp":%d,"iat":%d,"jti":"j","sub":"%s"}`, cnf, exp, iat, sub)
	}
	cnf := `{"jwk":` + k.jwk + `}`
	n := now.Unix()
	good := payload(orders, cnf, n, n+3600)
	for name, c := range map[string]struct {
		binding string
		status  int
	}{
		"good":                        {sign(header, good), 200},
		"good, and over":              {sign(header, payload(orders, cnf, n-7200, n-3600)), 200},
		"another workload's":          {sign(header, payload(gateway, cnf, n, n+3600)), 403},
		"no key":                      {sign(header, payload(orders, "{}", n, n+3600)), 403},
		"a key and more":              {sign(header, payload(orders, `{"jwk":`+k.jwk+`,"x5t":"a"}`, n, n+3600)), 403},
		"a private key":               {sign(header, payload(orders, `{"jwk":`+strings.Replace(k.jwk, "{", `{"d":"AAAA",`, 1)+`}`, n, n+3600)), 403},
		"longer than an hour":         {sign(header, payload(orders, cnf, n, n+3601)), 403},
		"ends before it begins":       {sign(header, payload(orders, cnf, n, n-1)), 403},
		"from the future":             {sign(header, payload(orders, cnf, n+60, n+120)), 403},
		"no jti":                      {sign(header, strings.Replace(good, `"jti":"j",`, "", 1)), 403},
		"no iat":                      {sign(header, strings.Replace(good, `"iat"`, `"nbf"`, 1)), 403},
		"no exp":                      {sign(header, strings.Replace(good, `"exp"`, `"nbf"`, 1)), 403},
		"no typ":                      {sign(strings.Replace(header, `,"typ":"kest-binding+jwt"`, "", 1), good), 403},
		"an entry's typ":              {sign(strings.Replace(header, "kest-binding+jwt", "JWS", 1), good), 403},
		"a session's typ":             {sign(strings.Replace(header, "kest-binding+jwt", "kest-session+jws", 1), good), 403},
		"another kid":                 {sign(strings.Replace(header, own.Key.Thumbprint(), k.Key.Thumbprint(), 1), good), 403},
		"crit":                        {sign(strings.Replace(header, "{", `{"crit":["x"],`, 1), good), 403},
		"a key in its header":         {sign(strings.Replace(header, "{", `{"jwk":`+k.jwk+`,`, 1), good), 403},
		"signed by the session key":   {k.forge(header, good), 403},
		"signed by a stranger, kid":   {binding(t, newSessionKey(t, "stranger").Identity, k.Key, now), 403},
		"no JWT":                      {"a.b.c", 403},
		"an entry instead":            {entry(t, own, now), 403},
		"a proof of possession":       {k.prove(t, now), 403},
		"good with a signature less":  {sign(header, good)[:len(sign(header, good))-10], 403},
		"good with something behind":  {sign(header, good) + ".", 403},
		"good under a capital letter": {strings.Replace(sign(header, good), "ey", "Ey", 1), 403},
	} {
		body, err := json.Marshal(map[string]string{"principal": orders, "binding": c.binding})
		if err != nil {
			t.Fatal(err)
		}
		w.each(func(client client, over string) {
			client.do(t, "POST", "/v1/keys", string(body)).want(t, name+" over "+over, c.status)
		})
		if c.status != 200 {
			body, _ = json.Marshal(map[string]string{"principal": gateway, "binding": c.binding})
			w.clients["unix"].do(t, "POST", "/v1/keys", string(body)).want(t, name+", for another", 403)
		}
	}
}

// entry is an entry's evidence, signed by an identity.
func entry(t *testing.T, id *kest.Identity, now time.Time) string {
	t.Helper()
	e := &kest.Entry{}
	text, err := id.SignEntry(context.Background(), e, now)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// What comes inline goes to the key source as it is, under the key's own name.
func TestInlineKeysAskTheKeySource(t *testing.T) {
	w := newWorld(t, setup{})
	k := newSessionKey(t, "k")
	leaf, leafJWK := certificate(t)
	w.keys.Add(gateway, kest.Key{Public: k.Key, NotBefore: w.clock.Now(), NotAfter: w.clock.Now().Add(time.Hour), Binding: "a.b.c"})
	leafKey, err := kest.ParsePublicKey([]byte(leafJWK))
	if err != nil {
		t.Fatal(err)
	}
	w.keys.Add(gateway, kest.Key{Public: leafKey})
	for name, c := range map[string]struct {
		body string
		want kest.KeyRequest
	}{
		"a token": {
			`{"principal":"` + gateway + `","binding":"a.b.c","jwk":` + k.jwk + `}`,
			kest.KeyRequest{Principal: gateway, KeyID: k.Key.Thumbprint(), Algorithm: "EdDSA", Binding: "a.b.c", JWK: k.jwk},
		},
		"a chain": {
			`{"principal":"` + gateway + `","x5c":["` + leaf + `","AAAA"]}`,
			kest.KeyRequest{Principal: gateway, KeyID: leafKey.Thumbprint(), Algorithm: "ES256", X5C: []string{leaf, "AAAA"}},
		},
	} {
		r := w.clients["loopback"].do(t, "POST", "/v1/keys", c.body)
		r.want(t, name, 200)
		if a := decode[keyAnswer](t, r); a.Principal != gateway || a.MaxAge != 10 {
			t.Errorf("%s: %s", name, r.body)
		}
		asked := w.keys.Asked()
		got := asked[len(asked)-1]
		if fmt.Sprint(got) != fmt.Sprint(c.want) {
			t.Errorf("%s: asked for %+v", name, got)
		}
	}
	w.keys.Revoke(gateway)
	w.clients["unix"].do(t, "POST", "/v1/keys", `{"principal":"`+gateway+`","binding":"a.b.c","jwk":`+k.jwk+`}`).want(t, "revoked", 403)
	w.keys.SetError(fmt.Errorf("no bundle: %w", kest.ErrUnavailable))
	w.clients["unix"].do(t, "POST", "/v1/keys", `{"principal":"`+gateway+`","binding":"a.b.c","jwk":`+k.jwk+`}`).want(t, "no bundle yet", 503)
}

// certificate makes a leaf and the JWK of its key.
func certificate(t *testing.T) (x5c, jwk string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	point, err := key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(der), `{"crv":"P-256","kty":"EC","x":"` + b64(point[1:33]) + `","y":"` + b64(point[33:]) + `"}`
}

func TestInlineBodiesThatAreRefused(t *testing.T) {
	w := newWorld(t, setup{})
	k := newSessionKey(t, "k")
	for name, c := range map[string]struct {
		body   string
		status int
	}{
		"nothing":               {"", 400},
		"no object":             {"[]", 400},
		"no principal":          {`{"binding":"a.b.c"}`, 400},
		"an empty principal":    {`{"principal":"","binding":"a.b.c"}`, 400},
		"principal as a number": {`{"principal":1,"binding":"a.b.c"}`, 400},
		"nothing to verify":     {`{"principal":"p"}`, 400},
		"an empty binding":      {`{"principal":"p","binding":""}`, 400},
		"a binding and a chain": {`{"principal":"p","binding":"a.b.c","x5c":["AAAA"]}`, 400},
		"a key and a chain":     {`{"principal":"p","jwk":{},"x5c":["AAAA"]}`, 400},
		"an empty chain":        {`{"principal":"p","x5c":[]}`, 400},
		"a chain of numbers":    {`{"principal":"p","x5c":[1]}`, 400},
		"a jwk as a text":       {`{"principal":"p","binding":"a.b.c","jwk":"{}"}`, 400},
		"an unknown member":     {`{"principal":"p","binding":"a.b.c","kid":"x"}`, 400},
		"a repeated member":     {`{"principal":"p","principal":"q","binding":"a.b.c"}`, 400},
		"something behind":      {`{"principal":"p","binding":"a.b.c"} x`, 400},
		"a binding of nothing":  {`{"principal":"p","binding":"a.b.c"}`, 403},
		"no certificate":        {`{"principal":"p","x5c":["AAAA"]}`, 403},
		"a private key":         {`{"principal":"p","binding":"a.b.c","jwk":` + strings.Replace(k.jwk, "{", `{"d":"AAAA",`, 1) + `}`, 403},
		"nobody vouches":        {`{"principal":"p","binding":"a.b.c","jwk":` + k.jwk + `}`, 403},
		"too long":              {`{"principal":"p","binding":"` + strings.Repeat("a", 64<<10) + `"}`, 413},
	} {
		w.each(func(client client, over string) {
			client.do(t, "POST", "/v1/keys", c.body).want(t, name+" over "+over, c.status)
		})
	}
}

// An identity with a chain is judged by those who know the roots: a revoked
// root must count for the agent's own key as for any other.
func TestOwnKeyWithAChainIsNotTrusted(t *testing.T) {
	id := *newSessionKey(t, "workload").Identity
	id.WorkloadID, id.X5C = orders, []string{"AAAA"}
	w := newWorld(t, setup{provider: fixed{&id}})
	w.clients["unix"].do(t, "GET", keyPath(id.Key.Thumbprint(), orders), "").want(t, "itself", 404)
	s := w.register(newSessionKey(t, "k"))
	w.clients["unix"].do(t, "GET", keyPath(s.KeyID, orders), "").want(t, "what it bound", 403)
	w.keys.Add(orders, kest.Key{Public: newSessionKey(t, "k").Key})
	w.clients["unix"].do(t, "GET", keyPath(s.KeyID, orders), "").want(t, "once the key source vouches for it", 200)
}

// What the provider bound for this very agent needs nobody else's word, such as
// an OIDC token whose issuer is not among the signers. A word against it counts.
func TestOwnBindingOfAnyForm(t *testing.T) {
	end := newClock().Now().Add(90 * time.Minute)
	bound := &kest.Bound{WorkloadID: orders, Binding: "token.for.key", InlineJWK: true, NotAfter: end}
	cache := newReplacing()
	w := newWorld(t, setup{cache: cache, provider: binder{kesttest.NewProvider(orders), bound, nil}})
	k := newSessionKey(t, "k")
	if s := w.register(k); !s.NotAfter.Equal(w.clock.Now().Add(time.Hour)) {
		t.Errorf("the session ends at %v", s.NotAfter)
	}
	r := w.clients["unix"].do(t, "GET", keyPath(k.Key.Thumbprint(), orders), "")
	r.want(t, "its own", 200)
	if a := decode[keyAnswer](t, r); a.NotAfter == nil || !a.NotAfter.Equal(end) {
		t.Errorf("the binding: %s", r.body)
	}
	w.clients["unix"].do(t, "GET", keyPath(k.Key.Thumbprint(), gateway), "").want(t, "for another", 404)
	body := `{"principal":"` + orders + `","binding":"token.for.key","jwk":` + k.jwk + `}`
	w.clients["unix"].do(t, "POST", "/v1/keys", body).want(t, "its own inline", 200)
	w.clients["unix"].do(t, "POST", "/v1/keys", strings.Replace(body, "token.for", "token.of", 1)).want(t, "another token inline", 403)
	other := newWorld(t, setup{cache: cache})
	other.clients["unix"].do(t, "GET", keyPath(k.Key.Thumbprint(), orders), "").want(t, "at another agent", 403)
	w.provider.SetError(fmt.Errorf("away: %w", kest.ErrUnavailable))
	w.clients["unix"].do(t, "GET", keyPath(k.Key.Thumbprint(), orders), "").want(t, "while the identity is away", 200)
	w.keys.Add(orders, kest.Key{Public: k.Key, Revoked: true})
	w.clients["unix"].do(t, "GET", keyPath(k.Key.Thumbprint(), orders), "").want(t, "revoked", 403)
}

// A KMS key names itself by its ARN.
func TestOwnKeyNamedByAnARN(t *testing.T) {
	id := *newSessionKey(t, "workload").Identity
	id.WorkloadID, id.BindingKeyID = "arn:aws:iam::1:role/r", "arn:aws:kms:eu-west-1:1:key/x"
	w := newWorld(t, setup{provider: fixed{&id}})
	s := w.register(newSessionKey(t, "k"))
	w.clients["unix"].do(t, "GET", keyPath(s.KeyID, id.WorkloadID), "").want(t, "what it bound", 200)
	again := newWorld(t, setup{provider: fixed{&id}, cache: w.cache})
	again.clients["unix"].do(t, "GET", keyPath(s.KeyID, id.WorkloadID), "").want(t, "the same, at another agent of the key", 200)
}

func TestMethodsOfAnAgentAreTyped(t *testing.T) {
	w := newWorld(t, setup{})
	_, err := w.agent.Key(context.Background(), "", "")
	if identityhost.StatusOf(err) != 400 || identityhost.StatusOf(nil) != 200 || identityhost.StatusOf(errBroken) != 500 {
		t.Errorf("%v", err)
	}
	p := kesttest.NewProvider(orders)
	k, err := w.agent.Key(context.Background(), p.Key().Thumbprint(), orders)
	if err != nil || k.Key.Public.JWK() != p.Key().JWK() || k.Principal != orders {
		t.Errorf("%+v %v", k, err)
	}
}
