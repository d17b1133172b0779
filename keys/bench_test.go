package keys_test

import (
	"testing"

	"kest.example/kest"
	"kest.example/kest/keys"
)

// What a binding costs at first, and what it costs once it is known.
func BenchmarkBinding(b *testing.B) {
	w := newWorld()
	svid, token := boundBy(w.root.svid(orders, p256()), orders), audienceBy(w.tokens, orders, "jwt-1")
	for name, d := range map[string]*draft{"svid": svid, "jwt-svid": token} {
		compact := d.compact()
		for state, size := range map[string]int{"new": 0, "known": 64} {
			v := w.verifier(keys.WithCache(size))
			request := kest.KeyRequest{Principal: orders, Algorithm: "EdDSA", Binding: compact}
			if !d.beside.IsZero() {
				request.JWK = d.beside.JWK()
			}
			b.Run(name+"/"+state, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if _, err := v.Keys(ctx, request); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
