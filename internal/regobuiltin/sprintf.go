package regobuiltin

import (
	"fmt"
	"strconv"
	"strings"
)

// sprintf hands Go's the arguments as OPA does.
func sprintf(c *call) *Value {
	format := c.str(0)
	var args []any
	length := 0
	for _, v := range c.arg(1, array).items {
		arg := c.goValue(v)
		if s, ok := arg.(string); ok {
			length += len(s)
		}
		args = append(args, arg)
	}
	if spread(format, length+numberText*len(args)) > maxSpread {
		c.failed = true
	}
	if c.failed {
		return nil
	}
	return stringValue(fmt.Sprintf(format, args...))
}

// goValue makes a number int64 or float64, by how it is written, and all else a
// string: what is none as Rego writes it.
func (c *call) goValue(v *Value) any {
	switch {
	case v.kind >= array:
		return v.rego()
	case v.kind != number:
		return v.text
	case strings.ContainsAny(v.text, ".eE"):
		f, _ := strconv.ParseFloat(v.text, 64) // as it was read
		return f
	}
	n, ok := plainInteger(v.text)
	if !ok {
		c.failed = true
	}
	return int64(n)
}

const (
	numberText = 400     // what %f may need, besides its precision
	maxSpread  = 8 << 20 // what fmt may have to write, at the most
	maxWidth   = 1000001 // fmt takes none above a million
)

// spread is at least how much fmt writes for a format, all arguments together
// having a length.
func spread(format string, length int) int {
	total, width, uses := 0, 0, 5 // quoted, a byte may become five
	for i := range len(format) {
		b := format[i]
		if b >= '0' && b <= '9' {
			width = min(width*10+int(b-'0'), maxWidth)
			continue
		}
		if b == '*' {
			width = maxWidth
		}
		if b == '[' {
			uses += 5 // of an argument by its number
		}
		total += width + 16 // also what is said of a missing argument
		width = 0
	}
	return total + length*uses
}
