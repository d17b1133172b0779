package identityhost_test

import (
	"context"
	"net/http"
	"testing"

	"kest.example/kest"
	"kest.example/kest/identityhost"
	"kest.example/kest/kesttest"
)

// Only what its holder signed binds a key, only once, and only under one text.
func FuzzSessions(f *testing.F) {
	clock, k := newClock(), kesttest.NewProvider("unbound")
	id, err := k.Identity(context.Background())
	if err != nil {
		f.Fatal(err)
	}
	good, err := id.ProveKey(context.Background(), "jti", clock.Now())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(good + ".")
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		a, err := identityhost.NewAgent(kesttest.NewProvider(orders), kest.StaticKeys{}, newReplacing(), identityhost.WithClock(clock.Now))
		if err != nil {
			t.Fatal(err)
		}
		r, err := a.Sessions(context.Background(), text)
		if (err == nil) != (text == good) || (r == nil) != (err != nil) {
			t.Errorf("%+v %v", r, err)
		}
		if _, err := a.Sessions(context.Background(), text); text == good && identityhost.StatusOf(err) != http.StatusUnauthorized {
			t.Errorf("a second time: %v", err)
		}
	})
}

// Whatever stands in a cache, or comes inline, makes no key of anybody's.
func FuzzBindings(f *testing.F) {
	clock, key := newClock(), kesttest.NewProvider("unbound").Key()
	forger, err := kesttest.NewProvider("spiffe://example.org/forger").Identity(context.Background())
	if err != nil {
		f.Fatal(err)
	}
	bound, err := forger.BindKey(context.Background(), key, "j", clock.Now(), identityhost.MaxSessionTTL)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(cached(orders, bound.Binding, "", bound.NotAfter)))
	f.Add(string(cached(orders, bound.Binding, key.JWK(), bound.NotAfter)))
	f.Add(`{"principal":"` + orders + `","binding":"` + bound.Binding + `"}`)
	f.Add(`{"principal":"` + orders + `","x5c":["MAA="]}`)
	f.Fuzz(func(t *testing.T, text string) {
		cache := newReplacing()
		a, err := identityhost.NewAgent(kesttest.NewProvider(orders), kest.StaticKeys{}, cache, identityhost.WithClock(clock.Now))
		if err != nil {
			t.Fatal(err)
		}
		if err := cache.Put(context.Background(), identityhost.BindingKey(key.Thumbprint()), []byte(text), 0); err != nil {
			t.Fatal(err)
		}
		if k, err := a.Key(context.Background(), key.Thumbprint(), orders); err == nil {
			t.Errorf("%+v", k)
		}
		if k, err := a.KeyInline(context.Background(), []byte(text)); err == nil {
			t.Errorf("%+v", k)
		}
	})
}
