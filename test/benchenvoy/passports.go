package main

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"time"

	"kest.example/kest/plugin"
	"kest.example/kest/policy/cedar"
)

// passports makes n requests with three entries of three workloads, each new.
func passports(n int) []http.Header {
	list := make([]http.Header, n)
	filters := []*plugin.Filter{filter("a", true), filter("b", false), filter("c", false)}
	for i := range list {
		var headers []plugin.Header
		for _, f := range filters {
			in := &plugin.Request{Headers: append([]plugin.Header{
				{Name: ":method", Value: "GET"}, {Name: ":path", Value: "/orders/7"}, {Name: ":authority", Value: "x"},
			}, headers...)}
			_, step := f.Begin(in)
			if step.Kind != plugin.Continue {
				panic(fmt.Sprintf("a passport was refused: %+v", step))
			}
			headers = nil
			for _, e := range step.Edits {
				headers = append(headers, plugin.Header(e))
			}
		}
		list[i] = http.Header{}
		for _, h := range headers {
			list[i].Set(h.Name, h.Value)
		}
	}
	return list
}

func filter(name string, root bool) *plugin.Filter {
	f, err := plugin.New([]byte(filterConfiguration(name, root)), plugin.Environment{
		Now: time.Now, Random: rand.Reader, Cedar: func(p map[string]string) (plugin.LocalEngine, error) { return cedar.New(p, nil) },
	})
	if err != nil {
		panic(err)
	}
	return f
}

func seedText(c string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(strings.Repeat(c, 32)))
}

// filterConfiguration is a filter with a Cedar policy, keys and an authority list.
func filterConfiguration(name string, root bool) string {
	var b bytes.Buffer
	fmt.Fprintf(&b, `{"workload": "spiffe://example.org/%s", "identity": {"insecure_seed": %q}, "keys": {"static": [`, name, seedText(name))
	for i, other := range []string{"a", "b", "c"} {
		if i > 0 {
			b.WriteString(",")
		}
		fmt.Fprintf(&b, `{"principal": "spiffe://example.org/%s", "jwk": {"kty": "OKP", "crv": "Ed25519", "x": %q}}`, other, publicX(other))
	}
	b.WriteString(`]}, "authority": [{"principal": "spiffe://example.org/*", "origins": ["user_input"], "max_root_trust": 40}],
		"propagation": {"max_bytes": 16384},
		"policies": {"cedar": {"trusted": "permit(principal, action, resource) when { context.trust_score >= 10 && !context.taints.contains(\"quarantine\") };"}},
		"routes": [{"match": {"methods": ["GET"], "path": "/orders/{id}"}, "operation": "orders.read", "policies": ["trusted"], "resource": {"id": "{id}"}`)
	if root {
		b.WriteString(`, "root": {"origin": "user_input"}`)
	}
	b.WriteString(`}]}`)
	return b.String()
}
