package protostruct

import (
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	"kest.example/kest/internal/jcs"
)

func TestAgainstTheProtobufLibrary(t *testing.T) {
	for _, text := range []string{
		`{}`, `{"a":null,"b":true,"c":false,"d":-1.5,"e":"ü","f":[],"g":{},"h":[1,"x",null,[{"i":[2]}]]}`,
		`{"":{"":0}}`, `{"n":40}`,
	} {
		var s structpb.Struct
		if err := s.UnmarshalJSON([]byte(text)); err != nil {
			t.Fatal(err)
		}
		b, err := proto.Marshal(&s)
		if err != nil {
			t.Fatal(err)
		}
		v, err := Parse(b)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		want, err := jcs.ParseString(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := string(jcs.Append(nil, v)); got != string(jcs.Append(nil, want)) {
			t.Errorf("%s came back as %s", text, got)
		}
	}
}

// FuzzParse: what it reads, the protobuf library reads to the same value.
func FuzzParse(f *testing.F) {
	for _, m := range []map[string]any{{"a": 1, "b": []any{"x", nil, true}}, {"k": map[string]any{"l": "m"}}} {
		s, err := structpb.NewStruct(m)
		if err != nil {
			f.Fatal(err)
		}
		b, err := proto.Marshal(s)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := Parse(b)
		if err != nil {
			return
		}
		var s structpb.Struct
		if err := proto.Unmarshal(b, &s); err != nil {
			return // stricter about wire types than a message that skips them
		}
		if len(s.GetFields()) != v.Len() {
			t.Fatalf("%d members, the protobuf library says %d", v.Len(), len(s.GetFields()))
		}
	})
}
