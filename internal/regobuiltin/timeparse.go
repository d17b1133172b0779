package regobuiltin

import (
	"strconv"
	"strings"
	"time"
)

// timeFields are the numbers of a time: how many digits, from what to what, and
// what is behind.
var timeFields = [...]struct {
	digits, low, high int
	behind            string
}{{4, 0, 9999, "-"}, {2, 1, 12, "-"}, {2, 1, 31, "T"}, {2, 0, 23, ":"}, {2, 0, 59, ":"}, {2, 0, 59, ""}}

// timeParse reads a time of RFC 3339 as Go's time.Parse does, which is less
// strict: the hour may have one digit, the fraction a comma, the offset 24 hours
// and 60 minutes.
func timeParse(c *call) *Value {
	p := timeReader{s: c.str(0)}
	var n [len(timeFields)]int
	for i := range timeFields {
		f := &timeFields[i]
		digits := f.digits
		if i == 3 && len(p.s) > 1 && p.s[1] == ':' {
			digits = 1
		}
		n[i] = p.number(digits, f.low, f.high)
		p.skip(f.behind)
	}
	fraction := p.fraction()
	seconds := p.offset()
	t := time.Date(n[0], time.Month(n[1]), n[2], n[3], n[4], n[5]-seconds, fraction, time.UTC)
	// time.Date takes 31 February for a day of March.
	if p.failed || p.s != "" || n[2] > daysIn(n[0], n[1]) {
		return c.fail()
	}
	return c.instant(t)
}

func daysIn(year, month int) int {
	return time.Date(year, time.Month(month)+1, 0, 0, 0, 0, 0, time.UTC).Day()
}

// timeReader reads s from its front.
type timeReader struct {
	s      string
	failed bool
}

// skip reports whether the prefix was there.
//
//go:noinline
func (p *timeReader) skip(prefix string) bool {
	rest, ok := strings.CutPrefix(p.s, prefix)
	p.s = rest
	if !ok {
		p.failed = true
	}
	return ok
}

// number reads that many digits.
func (p *timeReader) number(digits, low, high int) int {
	if len(p.s) < digits {
		p.failed = true
		return 0
	}
	n, ok := signed(false, p.s[:digits])
	p.s = p.s[digits:]
	if !ok || n < low || n > high {
		p.failed = true
	}
	return n
}

// fraction reads the digits of a second, of which nine count.
func (p *timeReader) fraction() (nanoseconds int) {
	s := p.s
	if len(s) < 2 || s[0] != '.' && s[0] != ',' || !isDigit(s[1]) {
		return 0
	}
	scale := int(time.Second)
	i := 1
	for ; i < len(s) && isDigit(s[i]); i++ {
		scale /= 10
		nanoseconds += scale * int(s[i]-'0')
	}
	p.s = s[i:]
	return nanoseconds
}

// offset reads Z or ±hh:mm, and returns seconds.
func (p *timeReader) offset() int {
	if p.s == "Z" {
		p.s = ""
		return 0
	}
	sign := 60
	if strings.HasPrefix(p.s, "-") {
		sign = -60
		p.skip("-")
	} else {
		p.skip("+")
	}
	hours := p.number(2, 0, 24)
	p.skip(":")
	return sign * (hours*60 + p.number(2, 0, 60))
}

func isDigit(b byte) bool { return b >= '0' && b <= '9' }

// durationUnits are nanoseconds, and behind longUnits hours.
var durationUnits = [...]struct {
	name string
	unit uint64
}{
	{"ns", 1},
	{"us", 1e3},
	{"µs", 1e3},
	{"μs", 1e3},
	{"ms", 1e6},
	{"s", 1e9},
	{"m", 60e9},
	{"h", 3600e9},
	{"d", 24},
	{"w", 7 * 24},
	{"y", 365 * 24},
}

const longUnits = 8

// timeParseDuration reads numbers with units, as Go's time.ParseDuration does,
// and besides d, w and y, which are so many hours.
func timeParseDuration(c *call) *Value {
	s := c.str(0)
	rest, negative := strings.CutPrefix(s, "-")
	if !negative {
		rest = strings.TrimPrefix(rest, "+")
	}
	// OPA has another grammar where there are long units.
	if rest == "" || strings.ContainsAny(s, "dwy") && strings.Contains(s, "μ") {
		return c.fail()
	}
	if rest == "0" {
		rest += "s" // it alone needs no unit
	}
	total := uint64(0)
	for rest != "" {
		digits := span(rest, true)
		rest = rest[len(digits):]
		unit := span(rest, false)
		rest = rest[len(unit):]
		if total += c.duration(digits, unit); total > 1<<63 {
			c.failed = true
		}
	}
	if negative {
		total = -total
	} else if total == 1<<63 {
		c.failed = true
	}
	return numberValue(strconv.FormatInt(int64(total), 10))
}

// span returns the digits and points that s starts with, or what is before them.
func span(s string, digits bool) string {
	i := 0
	for i < len(s) && (isDigit(s[i]) || s[i] == '.') == digits {
		i++
	}
	return s[:i]
}

// duration is in nanoseconds. A duration has 63 bits, and one value more.
func (c *call) duration(digits, unit string) uint64 {
	i := 0
	for i < len(durationUnits) && durationUnits[i].name != unit {
		i++
	}
	if i == len(durationUnits) {
		c.failed = true
		return 0
	}
	scale := durationUnits[i].unit
	if i >= longUnits {
		n, err := strconv.ParseFloat(digits, 64)
		if err != nil {
			c.failed = true
		}
		digits = strconv.FormatFloat(n*float64(scale), 'f', -1, 64)
		scale = 3600e9
	}
	whole, fraction, _ := cut(digits, ".")
	if whole == "" && fraction == "" || strings.Contains(fraction, ".") {
		c.failed = true
	}
	whole = strings.TrimLeft(whole, "0")
	if len(whole) > maxDigits {
		c.failed = true
		return 0
	}
	n, ok := signed(true, whole)
	total := uint64(-n) //nolint:gosec // two's complement
	if !ok || total > 1<<63/scale {
		c.failed = true
	}
	return total*scale + fractionOf(fraction, scale)
}

// fractionOf is a unit's fraction, with the rounding of Go's time.ParseDuration.
func fractionOf(digits string, unit uint64) uint64 {
	n, scale := uint64(0), 1.0
	for i := 0; i < len(digits) && n <= (1<<63-1)/10; i++ {
		next := n*10 + uint64(digits[i]-'0')
		if next > 1<<63 {
			break
		}
		n = next
		scale *= 10
	}
	return uint64(float64(n) * (float64(unit) / scale))
}
