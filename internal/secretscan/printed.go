package secretscan

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
)

// Printed is all that a program may come to print of a value: by every verb, as
// JSON, in logs, and, of an error, all that it wraps.
func Printed(values ...any) string {
	var out bytes.Buffer
	for _, v := range values {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x"} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
		if text, err := json.Marshal(v); err == nil {
			out.Write(text)
		}
		slog.New(slog.NewJSONHandler(&out, nil)).Info("printed", "v", v)
		slog.New(slog.NewTextHandler(&out, nil)).Info("printed", "v", v)
		if err, ok := v.(error); ok {
			out.WriteString(Printed(wrapped(err)...))
		}
	}
	return out.String()
}

func wrapped(err error) (list []any) {
	if one := errors.Unwrap(err); one != nil {
		list = append(list, one)
	}
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range many.Unwrap() {
			list = append(list, e)
		}
	}
	return list
}
