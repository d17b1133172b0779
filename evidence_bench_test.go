package kest_test

import (
	"context"
	"testing"

	"kest.example/kest"
)

func BenchmarkParseEvidence(b *testing.B) {
	f := newFleet(&testing.T{})
	o := f.operation(f.hook("spiffe://t/a", kest.AllowAll()), kest.Hop{Operation: "ask.something", RootOrigin: "user_input", AddedTaints: []string{"unverified"}})
	l := f.must(context.Background(), o, kest.OnResource(kest.Resource{ID: "7", Attributes: []byte(`{"a":"b"}`)}), kest.WithTraceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"))
	c := l.Passport().Entries()[0]
	b.ReportAllocs()
	for b.Loop() {
		if _, err := kest.ParseEvidence(c, 0); err != nil {
			b.Fatal(err)
		}
	}
}
