package stages

import (
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"kest.example/kest"
	"kest.example/kest/baggage"
	"kest.example/kest/internal/jcs"
	"kest.example/kest/internal/jws"
	"kest.example/kest/plugin"
	"kest.example/kest/policy/cedar"
)

var errRefused = errors.New("the filter refused")

// filter is the whole state machine without a proxy, for a passport of n
// entries that it has seen before.
func filter(n int) func() error {
	l, keys := chain(n)
	f := must(plugin.New([]byte(configuration(keys)), plugin.Environment{
		Now: now, Random: rand.Reader,
		Cedar: func(p map[string]string) (plugin.LocalEngine, error) { return cedar.New(p, nil) },
	}))
	request := &plugin.Request{Headers: []plugin.Header{
		{Name: ":method", Value: "GET"}, {Name: ":path", Value: "/orders/7"}, {Name: ":authority", Value: "orders.example.org"},
	}}
	if n > 0 {
		in := must(baggage.Parse(nil, baggage.ReadOptions{}))
		header, _, err := in.Write(baggage.Outgoing{Lineage: l}, baggage.WriteOptions{MaxBytes: 1 << 20})
		if err != nil {
			panic(err)
		}
		request.Headers = append(request.Headers, plugin.Header{Name: "baggage", Value: header})
	}
	return func() error {
		if _, step := f.Begin(request); step.Kind != plugin.Continue {
			return errRefused
		}
		return nil
	}
}

func configuration(keys kest.StaticKeys) string {
	var list []string
	for principal, k := range keys {
		list = append(list, fmt.Sprintf(`{"principal": %s, "jwk": %s}`, strconv.Quote(principal), k[0].JWK()))
	}
	return fmt.Sprintf(`{"workload": "spiffe://example.org/filter", "identity": {"insecure_seed": %q}, "keys": {"static": [%s]},
		"authority": [{"principal": "spiffe://example.org/*", "origins": ["user_input"], "max_root_trust": 40}],
		"propagation": {"max_bytes": 1048576}, "policies": {"cedar": {"baseline": %s}},
		"routes": [{"match": {"path": "/orders/{id}"}, "operation": "orders.read", "policies": ["baseline"], "root": {"origin": "user_input"}}]}`,
		jws.Encode([]byte(strings.Repeat("f", 32))), strings.Join(list, ","), jcs.AppendString(nil, policy))
}
