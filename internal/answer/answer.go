// Package answer reads what a remote policy engine answered: strictly, whatever
// the engine (POLICY.md, "Remote engines"). Guests link it.
package answer

import (
	"bytes"
	"strconv"

	"kest.example/kest"
	"kest.example/kest/internal/jcs"
)

// Error says why an answer decides nothing. It wraps kest.ErrUnavailable, and
// quotes nothing of the answer: a server may repeat what it was sent.
type Error string

func (e Error) Error() string { return string(e) }

// Unwrap makes errors.Is(err, kest.ErrUnavailable) hold.
func (e Error) Unwrap() error { return kest.ErrUnavailable }

// Parse returns the one JSON value of an answer with status 200. The error is an Error.
func Parse(status int, body []byte) (*jcs.Value, error) {
	if status != 200 {
		return nil, Error("the server answered " + strconv.Itoa(status))
	}
	if len(body) > kest.MaxAnswer {
		return nil, Error("the answer is longer than 1 MiB")
	}
	v, err := jcs.Parse(body)
	if err != nil {
		return nil, Error("the answer is no strict " + err.Error())
	}
	return v, nil
}

// Cedar reads what Cedar's authorizer said: the decision, in words who decided,
// the list of what kept policies from being evaluated, and that in words. Only
// allow allows, and only where nothing was kept, as Cedar in process does.
func Cedar(decision *jcs.Value, allow, by string, errors *jcs.Value, faults string) kest.Decision {
	if kind := errors.Kind(); kind > jcs.Null && (kind != jcs.Array || errors.Len() > 0) {
		return kest.Decision{Reason: "a policy could not be evaluated: " + faults}
	}
	if by != "" {
		by = " by " + by
	}
	switch {
	case decision.Kind() != jcs.String:
		return kest.Decision{Reason: "the answer holds no decision"}
	case decision.Str() == allow:
		return kest.Decision{Allow: true, Reason: "permitted" + by}
	case by != "":
		return kest.Decision{Reason: "forbidden" + by}
	}
	return kest.Decision{Reason: "no permit applies"}
}

// maxWords bounds what an engine can bring into a reason, in bytes.
const maxWords = 256

// Words are a text, or the texts in a list, or in that member of its objects, as
// one short line. What else there is doesn't show.
func Words(v *jcs.Value, member string) string {
	text := v.Str()
	for i := range v.Items() {
		item := &v.Items()[i].Value
		if member != "" {
			item = item.Get(member)
		}
		if i > 0 {
			text += ", "
		}
		text += item.Str()
	}
	if len(text) > maxWords {
		text = text[:maxWords] + "…"
	}
	line := []byte(text)
	for i, c := range line {
		if c < ' ' || c == 0x7f {
			line[i] = ' '
		}
	}
	return string(bytes.ToValidUTF8(line, nil))
}
