package identityhost_test

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"kest.example/kest/internal/jws"
)

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
		"a binding as a number":     {k.forge(header(k.jwk), strings.Replace(payload(now), "{", `{"binding":1,`, 1)), 400},
		"unshared as a text":        {k.forge(header(k.jwk), strings.Replace(payload(now), "{", `{"unshared":"true",`, 1)), 400},
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
