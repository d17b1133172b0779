package baggage_test

import (
	"testing"

	"kest.example/kest"
	"kest.example/kest/baggage"
)

// Names that only decoding makes Kest's neither pass nor survive an edge.
func TestDisguisedNames(t *testing.T) {
	for _, bag := range []string{"kest%2Euser=admin", "+kest.agent=x", "%20kest.passport=[]", "%6best.user=x", "a=b,Kest%2euser=x"} {
		if _, err := baggage.Parse([]string{bag}, baggage.ReadOptions{}); err == nil {
			t.Errorf("%q is read", bag)
		}
		in, err := baggage.Parse([]string{bag + ",c=d"}, baggage.ReadOptions{Strip: true})
		if err != nil {
			t.Fatal(err)
		}
		if got := in.Others(); got != "c=d" && got != "a=b,c=d" {
			t.Errorf("%q: %q goes on", bag, got)
		}
	}
	if _, err := baggage.Parse([]string{"100%25+x=y"}, baggage.ReadOptions{}); err != nil {
		t.Error(err)
	}
}

// Carriers that are all empty don't excuse a tip.
func TestEmptyCarriersWithATip(t *testing.T) {
	const empty = "eJyLjgUAARUAuQ" // zlib of []
	bag := "kest.passport=[],kest.passport_z=" + empty + ",kest.chain_tip=deadbeef"
	in, err := baggage.Parse([]string{bag}, baggage.ReadOptions{Python: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := in.CheckTip(kest.EmptyLineage()); err == nil {
		t.Error("a tip without an entry is taken")
	}
}
