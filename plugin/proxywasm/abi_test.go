package proxywasm_test

import (
	"testing"

	"kest.example/kest/plugin/proxywasm"
)

func TestStatusString(t *testing.T) {
	for s, want := range map[proxywasm.Status]string{
		proxywasm.OK: "ok", proxywasm.CASMismatch: "cas mismatch", proxywasm.Unimplemented: "unimplemented", 5: "status 5", 1 << 31: "status 2147483648",
	} {
		if got := s.String(); got != want {
			t.Errorf("%d: %q", uint32(s), got)
		}
	}
}

func TestBaseVMHolds(t *testing.T) {
	if a := (proxywasm.BaseVM{}).RequestHeaders(2, 0, true); a != proxywasm.Pause {
		t.Error("a plugin that decides nothing lets requests pass")
	}
}
