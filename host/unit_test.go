package host

import (
	"slices"
	"strings"
	"testing"

	"kest.example/kest/plugin/proxywasm"
)

func TestSharedDataBounds(t *testing.T) {
	d := NewSharedData()
	if s := d.set("k", []byte("v"), 5); s != proxywasm.CASMismatch {
		t.Error("a cas for a key that isn't there:", s)
	}
	d.set("k", []byte("v"), 0)
	_, cas, _ := d.get("k")
	if s := d.set("k", []byte("w"), cas); s != proxywasm.OK {
		t.Error(s)
	}
	if s := d.set("k", []byte("x"), cas); s != proxywasm.CASMismatch {
		t.Error("an old cas:", s)
	}
	big := make([]byte, maxSharedBytes/2)
	if s := d.set("a", big, 0); s != proxywasm.OK {
		t.Error(s)
	}
	if s := d.set("b", big, 0); s != proxywasm.InternalFailure {
		t.Error("over the bound:", s)
	}
	if s := d.set("a", []byte("small"), 0); s != proxywasm.OK {
		t.Error(s)
	}
	if s := d.set("b", big, 0); s != proxywasm.OK {
		t.Error("what was freed doesn't count any more:", s)
	}
	d.last = 1<<32 - 1
	d.set("k", []byte("y"), 0)
	if _, cas, _ := d.get("k"); cas == 0 {
		t.Error("cas 0 means no check")
	}
}

func TestFilterStateMessage(t *testing.T) {
	for name, message := range map[string]string{
		"no path": "\x12\x01v", "cut": "\x0a\x05k", "a long length": "\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01k",
		"another field": "\x22\x01k", "a lone tag": "\x0a", "big": "\x0a\x01k\x12\x80\x80\x04" + strings.Repeat("v", 1<<16),
	} {
		s := &stream{state: &filterState{}}
		if st := s.setFilterState([]byte(message)); st != proxywasm.BadArgument {
			t.Errorf("%s: %v", name, st)
		}
	}
	s := &stream{state: &filterState{outer: &filterState{values: map[string]string{"outer": "o"}}}}
	if st := s.setFilterState([]byte("\x0a\x01k\x12\x01v\x18\x02")); st != proxywasm.OK {
		t.Error(st)
	}
	if v, _ := s.state.get("k"); v != "v" {
		t.Error(v)
	}
}

func TestHeaderMap(t *testing.T) {
	m := headerMap{pseudo: requestPseudo}
	for _, c := range []struct {
		name, value string
		want        proxywasm.Status
	}{
		{":path", "/", proxywasm.OK},
		{":path", "/two", proxywasm.OK},
		{"Host", "a", proxywasm.OK},
		{"X-A", "1", proxywasm.OK},
		{"x-a", "2", proxywasm.OK},
		{":status", "200", proxywasm.BadArgument},
		{"", "x", proxywasm.BadArgument},
		{"a b", "x", proxywasm.BadArgument},
		{"x\x00", "x", proxywasm.BadArgument},
		{"x", "a\nb", proxywasm.BadArgument},
		{"x", "a\x00", proxywasm.BadArgument},
		{"x", "tab\tand ünicode", proxywasm.OK},
	} {
		if s := m.add(c.name, c.value); s != c.want {
			t.Errorf("%q: %q: %v", c.name, c.value, s)
		}
	}
	want := []proxywasm.Pair{
		{Name: ":path", Value: "/two"},
		{Name: ":authority", Value: "a"},
		{Name: "x-a", Value: "1"},
		{Name: "x-a", Value: "2"},
		{Name: "x", Value: "tab\tand ünicode"},
	}
	if !slices.Equal(m.pairs, want) {
		t.Errorf("%q", m.pairs)
	}
	if s := m.setAll([]proxywasm.Pair{{Name: "ok", Value: "1"}, {Name: "not ok"}}); s != proxywasm.BadArgument || len(m.pairs) != 5 {
		t.Error("half of a bad map was taken")
	}
	if m.remove("x-A"); len(m.pairs) != 3 {
		t.Errorf("%q", m.pairs)
	}
	response := headerMap{pseudo: responsePseudo}
	if s := response.add("host", "x"); s != proxywasm.BadArgument {
		t.Error("a response with a host")
	}
}

func TestGRPCStatus(t *testing.T) {
	for _, c := range []struct {
		grpc   int32
		status int
		want   int
	}{{7, 403, 7}, {-1, 403, 7}, {0, 403, 7}, {0, 200, 0}, {99, 503, 14}, {-1, 418, 2}, {-1, 401, 16}} {
		if got := (&localResponse{grpc: c.grpc, status: c.status}).grpcStatus(); got != c.want {
			t.Errorf("%d and %d: %d", c.grpc, c.status, got)
		}
	}
	if got := grpcMessage([]byte("100% ü\n")); got != "100%25 %C3%BC%0A" {
		t.Error(got)
	}
}

func TestReadPastMemory(t *testing.T) {
	f, err := New(t.Context(), answers(
		// proxy_get_property(path at 4 GiB-1, 8 bytes, …), the status is the action
		opI32Const, 0x7f, opI32Const, 8, opI32Const, 0, opI32Const, 0, opCall, byte(functionIndex(proxywasm.FnGetProperty)),
		opI32Const, byte(proxywasm.InvalidMemoryAccess), 0x47, // != → 0 is Continue
	), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close(t.Context()) }()
	s, err := f.pool.acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer f.pool.release(s)
	action, err := s.call(proxywasm.OnRequestHeaders, s.soon(), rootContext, 1, 0, 0)
	if action != 0 || err != nil {
		t.Error("a read past the memory was not noticed:", action, err)
	}
}

func functionIndex(name string) int {
	return slices.IndexFunc(hostFunctions(), func(f hostFunction) bool { return f.name == name })
}
