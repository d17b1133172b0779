package cedar

import (
	"errors"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"

	"github.com/cedar-policy/cedar-go/types"

	"kest.example/kest/internal/jcs"
)

// What is remembered is of the very value, however many there were.
func TestMemory(t *testing.T) {
	var s scalars
	var l lists
	var o, some objects
	uses := usageOf(`context.a == 1 || context.id.a == 1`)
	var wait sync.WaitGroup
	for worker := range uint64(4) {
		wait.Go(func() {
			g := contextMaker{rand.New(rand.NewPCG(5, worker))}
			for range 1000 {
				n := g.IntN(300) - 100
				for _, v := range []types.Value{types.Long(n), types.String(strconv.Itoa(n)), types.Boolean(n > 0)} {
					if got := s.record("v", v); !got.Equal(types.NewRecord(types.RecordMap{"v": v})) {
						t.Errorf("%v became %v", v, got)
					}
				}
				list := []string{strconv.Itoa(n), "a", strconv.Itoa(n % 7)}[:g.IntN(4)]
				if got := l.record("v", list); !got.Equal(types.NewRecord(types.RecordMap{"v": stringSet(list)})) {
					t.Errorf("%v became %v", list, got)
				}
				sameConversion(t, &o, nil, g.attributes(3))
				sameConversion(t, &some, uses, g.attributes(3))
			}
		})
	}
	wait.Wait()
}

func sameConversion(t *testing.T, o *objects, uses *usage, text string) {
	v, err := jcs.ParseString(text)
	if err != nil {
		t.Error(err)
		return
	}
	want, wantErr := convert(v, uses)
	for range 2 {
		got, err := o.convert(v, uses)
		if (err == nil) != (wantErr == nil) || err == nil && !got.Equal(want) {
			t.Errorf("%s became %v, %v", text, got, err)
		}
	}
}

// A list that changes after the evaluation isn't taken for what it was. Many, as
// another list has to fall to the same place.
func TestMemoryOfAListThatChanges(t *testing.T) {
	var l lists
	for i := range 1000 {
		list := []string{"a"}
		l.record("v", list)
		list[0] = strconv.Itoa(i)
		if got := l.record("v", list); !got.Equal(types.NewRecord(types.RecordMap{"v": stringSet(list)})) {
			t.Fatalf("%v became %v", list, got)
		}
	}
}

func TestSameJSON(t *testing.T) {
	texts := []string{
		`null`, `true`, `false`, `0`, `1`, `-1`, `""`, `"a"`, `"1"`, `[]`, `{}`, `[null]`, `["a"]`, `["a","b"]`, `["b","a"]`, `[["a"],"b"]`, `[["a","b"]]`,
		`{"a":1}`, `{"a":"1"}`, `{"a":true}`, `{"b":1}`, `{"a":1,"b":1}`, `{"a":{"b":1}}`, `{"a":[1]}`, `{"a":null}`, `{"":1}`,
	}
	for i, a := range texts {
		for j, b := range texts {
			x, errX := jcs.ParseString(a)
			y, errY := jcs.ParseString(b)
			if errX != nil || errY != nil {
				t.Fatal(errX, errY)
			}
			if same := sameJSON(x, y); same != (i == j) || same && hashOf(x) != hashOf(y) {
				t.Errorf("%s and %s are the same: %v", a, b, same)
			}
		}
	}
}

// An attribute that Cedar can't hold is named.
func TestValueError(t *testing.T) {
	for text, want := range map[string]string{
		`{"a":1.5}`: "a", `{"a":[1,1.5]}`: "a[1]", `{"a":[[1.5]]}`: "a[0][0]", `{"a":{"b":[{"c":1e300}]}}`: "a.b[0].c",
	} {
		v, err := jcs.ParseString(text)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := convert(v, nil); !errors.Is(err, valueError(want)) {
			t.Errorf("%s: %v", text, err)
		}
	}
}
