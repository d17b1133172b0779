// Package stages has the steps of one hop as things to measure, natively and
// in a guest: the same code and the same input on both sides.
package stages

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"strconv"
	"strings"
	"time"

	"kest.example/kest"
	"kest.example/kest/policy/cedar"
)

// Stage is one thing to measure. Prepare returns what to repeat.
type Stage struct {
	Name    string
	Prepare func() func() error
}

var ctx = context.Background()

// now is fixed: keys and entries have no times that could run out.
func now() time.Time { return time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC) }

// All returns the stages in the order of a hop.
func All() []Stage {
	var list []Stage
	for _, n := range [...]int{1, 3, 10, 100} {
		list = append(list,
			Stage{"parse/entries=" + strconv.Itoa(n), func() func() error { return parse(n) }},
			Stage{"verify-cold/entries=" + strconv.Itoa(n), func() func() error { return verify(n, 0) }},
			Stage{"verify-cached/entries=" + strconv.Itoa(n), func() func() error { return verify(n, 4096) }},
			Stage{"raw-batch-and-sha256/entries=" + strconv.Itoa(n), func() func() error { return rawBatch(n) }},
		)
	}
	for _, n := range [...]int{0, 1, 10, 100} {
		list = append(list, Stage{"hook-allow-all/entries=" + strconv.Itoa(n), func() func() error { return hook(n, kest.AllowAll()) }})
	}
	for _, n := range [...]int{0, 3} {
		list = append(list, Stage{"filter-cached/entries=" + strconv.Itoa(n), func() func() error { return filter(n) }})
	}
	return append(list,
		Stage{"sign", sign}, Stage{"raw-sign", rawSign}, Stage{"cedar", cedarDecision},
	)
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func identity(i int) *kest.Identity {
	name := "spiffe://example.org/workload-" + strconv.Itoa(i)
	seed := sha256.Sum256([]byte(name))
	return must(kest.SeedIdentity(name, seed[:]))
}

func workshop() *kest.Workshop {
	return &kest.Workshop{Random: rand.Reader, Digest: strings.Repeat("0", 64)}
}

func hop() *kest.Hop {
	h := &kest.Hop{Operation: "orders.read", RootOrigin: "user_input", Policies: []string{"baseline"}, AddedTaints: []string{"unverified_input"}}
	if err := h.Validate(kest.Origins{}); err != nil {
		panic(err)
	}
	return h
}

func call() kest.Call {
	return kest.Call{
		Actor: kest.Actor{User: "alice@example.org", Agent: "agent-7"}, Resource: kest.Resource{ID: "7"},
		TraceID: "0af7651916cd43dd8448eb211c80319c", Now: now(),
	}
}

// chain makes a lineage of n entries, each of another workload, and the keys.
func chain(n int) (*kest.Lineage, kest.StaticKeys) {
	keys := kest.StaticKeys{}
	l, w, h := kest.EmptyLineage(), workshop(), hop()
	for i := range n {
		id := identity(i)
		keys[id.WorkloadID] = []kest.PublicKey{id.Key}
		l = must(w.Finish(ctx, must(w.Prepare(l, h, call(), id)), kest.AllowAll())).Lineage
	}
	return l, keys
}

func parse(n int) func() error {
	l, _ := chain(n)
	text := l.Passport().String()
	return func() error {
		p, err := kest.ParsePassport(text)
		if err != nil {
			return err
		}
		for _, e := range p.Entries() {
			if _, err := kest.ParseEvidence(e, kest.SchemaLenient); err != nil {
				return err
			}
		}
		return nil
	}
}

func authority() kest.Authority {
	return kest.Authority{{Principal: "spiffe://example.org/*", Origins: []string{"user_input"}, MaxRootTrust: 40}}
}

func verify(n, cache int) func() error {
	l, keys := chain(n)
	text := l.Passport().String()
	v := must(kest.NewVerifier(keys, authority(), kest.WithSignatureCache(cache), kest.WithClock(now)))
	return func() error {
		p, err := kest.ParsePassport(text)
		if err != nil {
			return err
		}
		_, err = v.Verify(ctx, p)
		return err
	}
}

func sign() func() error {
	id := identity(0)
	pending := must(workshop().Prepare(kest.EmptyLineage(), hop(), call(), id))
	return func() error {
		_, err := id.SignEntry(ctx, pending.Entry, now())
		return err
	}
}

func hook(n int, engine kest.Engine) func() error {
	l, _ := chain(n)
	id := identity(n)
	w, h := workshop(), hop()
	return func() error {
		pending, err := w.Prepare(l, h, call(), id)
		if err != nil {
			return err
		}
		_, err = w.Finish(ctx, pending, engine)
		return err
	}
}

const policy = `permit(principal, action, resource) when { context.trust_score >= 10 && !context.taints.contains("quarantine") };
forbid(principal, action, resource) when { context.lineage.depth > 20 };`

func cedarDecision() func() error {
	engine := must(cedar.New(map[string]string{"baseline": policy}, nil))
	l, _ := chain(3)
	pending := must(workshop().Prepare(l, hop(), call(), identity(3)))
	return func() error {
		_, err := pending.Plan.Evaluate(ctx, engine, pending.Context, nil)
		return err
	}
}
