package regobuiltin

import "time"

// Error is an error of this package.
type Error string

func (e Error) Error() string { return string(e) }

// The errors. None says what was in the arguments.
const (
	ErrUnknown = Error("rego: no such built-in function")
	ErrFailed  = Error("rego: a built-in function failed")
	ErrValue   = Error("rego: a value is malformed or too large")
)

// Env is what a call sees besides its arguments.
type Env struct {
	Now time.Time // of time.now_ns: when the policy is asked
}

// Names returns the functions that there are, sorted.
func Names() []string {
	names := make([]string, len(functions))
	for i := range functions {
		names[i] = functions[i].name
	}
	return names
}

// Call calls a function. The error is ErrUnknown; or ErrFailed, where OPA's strict
// evaluation has an error too, or where the package's documentation says.
func Call(name string, args []*Value, env Env) (*Value, error) {
	for i := range functions {
		f := &functions[i]
		if f.name != name {
			continue
		}
		c := call{args: args, now: env.Now, work: maxWork}
		if len(args) == f.arity {
			if v := f.run(&c); !c.failed {
				return v, nil
			}
		}
		return nil, ErrFailed
	}
	return nil, ErrUnknown
}

// CallText is Call for the text of an array of the arguments, as a policy module
// hands it over, and gives the text of the result. The error may also be ErrValue.
func CallText(name, args string, env Env) ([]byte, error) {
	list, err := Parse(args)
	if err != nil {
		return nil, err
	}
	if list.kind != array {
		return nil, ErrValue
	}
	v, err := Call(name, list.items, env)
	if err != nil {
		return nil, err
	}
	return Append(nil, v)
}

// call is one call. Functions read their arguments by its methods, which note
// what is not of the right kind, so that they need not look.
type call struct {
	args   []*Value
	now    time.Time
	work   int // that is left
	failed bool
}

// maxWork bounds what takes more than linear time.
const maxWork = 1 << 22

// spend takes from the work that is left, and reports whether there is some.
func (c *call) spend(n int) bool {
	if c.work -= n; c.work < 0 {
		c.failed = true
	}
	return !c.failed
}

// fail is for a function that has no result.
func (c *call) fail() *Value {
	c.failed = true
	return nil
}

// arg returns an argument that must be of a kind. If it isn't, the one returned is empty.
//
//go:noinline
func (c *call) arg(i int, k kind) *Value {
	if c.args[i].kind != k {
		c.failed = true
		return &Value{}
	}
	return c.args[i]
}

//go:noinline
func (c *call) str(i int) string { return c.arg(i, str).text }

// integer returns an argument that must be a number that OPA takes as an integer.
func (c *call) integer(i int) int {
	n, ok := plainInteger(c.arg(i, number).text)
	if !ok {
		c.failed = true
	}
	return n
}

func (c *call) wholeOf(v *Value) int {
	n, ok := wholeNumber(v.text)
	if !ok || v.kind != number {
		c.failed = true
	}
	return n
}

// strings returns the one string, or the array or set of strings, that an argument must be.
//
//go:noinline
func (c *call) strings(i int) []*Value {
	v := c.args[i]
	switch v.kind {
	case str:
		return c.args[i : i+1]
	case array, set:
		for j := range v.items {
			if v.items[j].kind != str {
				c.failed = true
			}
		}
		return v.items
	}
	c.failed = true
	return nil
}
