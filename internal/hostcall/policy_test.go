package hostcall

import (
	"errors"
	"testing"
)

func TestEval(t *testing.T) {
	entry, now, input, err := ParseEval(AppendEval(nil, 1<<31, -5, []byte("{}")))
	if entry != 1<<31 || now != -5 || string(input) != "{}" || err != nil {
		t.Errorf("%d, %d, %s, %v", entry, now, input, err)
	}
	if _, _, _, err := ParseEval(make([]byte, 11)); !errors.Is(err, ErrLayout) {
		t.Error(err)
	}
}

func TestResult(t *testing.T) {
	if text, aborted, err := ParseResult(AppendResult(nil, []byte("[]"))); string(text) != "[]" || aborted || err != nil {
		t.Errorf("%s, %v, %v", text, aborted, err)
	}
	if text, aborted, err := ParseResult(AppendAbort(nil, "why")); string(text) != "why" || !aborted || err != nil {
		t.Errorf("%s, %v, %v", text, aborted, err)
	}
	for _, text := range []string{"", "\x02[]", "["} {
		if _, _, err := ParseResult([]byte(text)); !errors.Is(err, ErrLayout) {
			t.Errorf("%q: %v", text, err)
		}
	}
}
