package regobuiltin

import (
	"math"
	"strconv"
	"time"
)

func timeNow(c *call) *Value { return nanoseconds(c.now) }

func nanoseconds(t time.Time) *Value {
	return numberValue(strconv.FormatInt(t.UnixNano(), 10))
}

// instant returns a time as nanoseconds, if 64 bits hold them.
func (c *call) instant(t time.Time) *Value {
	// Whole seconds alone come near to what 64 bits hold, so the bounds are times.
	if t.Before(time.Unix(0, math.MinInt64)) || t.After(time.Unix(0, math.MaxInt64)) {
		return c.fail()
	}
	return nanoseconds(t)
}

// time reads an argument that is nanoseconds, or an array of them, the name of
// the zone, which must be UTC or "", and a layout.
func (c *call) time(i int) (t time.Time, layout string) {
	v := c.args[i]
	if v.kind == array && len(v.items) > 0 {
		for j := 1; j < min(len(v.items), 3); j++ {
			if layout = v.items[j].text; v.items[j].kind != str || j == 1 && layout != "" && layout != "UTC" {
				c.failed = true
			}
		}
		if len(v.items) < 3 {
			layout = ""
		}
		v = v.items[0]
	}
	return time.Unix(0, int64(c.wholeOf(v))).UTC(), layout
}

func timeDate(c *call) *Value {
	t, _ := c.time(0)
	year, month, day := t.Date()
	return ints(year, int(month), day)
}

func timeClock(c *call) *Value {
	t, _ := c.time(0)
	hour, minute, second := t.Clock()
	return ints(hour, minute, second)
}

func ints(list ...int) *Value {
	v := &Value{kind: array}
	for _, n := range list {
		v.push(intValue(n))
	}
	return v
}

func timeWeekday(c *call) *Value {
	t, _ := c.time(0)
	return stringValue(t.Format("Monday"))
}

func timeAddDate(c *call) *Value {
	t, _ := c.time(0)
	return c.instant(t.AddDate(c.integer(1), c.integer(2), c.integer(3)))
}

// layouts that have a name, each behind it.
var layouts = [...]string{
	"", time.RFC3339Nano,
	"ANSIC", time.ANSIC, "UnixDate", time.UnixDate, "RubyDate", time.RubyDate, "RFC822", time.RFC822, "RFC822Z", time.RFC822Z, "RFC850", time.RFC850,
	"RFC1123", time.RFC1123, "RFC1123Z", time.RFC1123Z, "RFC3339", time.RFC3339, "RFC3339Nano", time.RFC3339Nano,
}

func timeFormat(c *call) *Value {
	t, layout := c.time(0)
	for i := 0; i < len(layouts); i += 2 {
		if layouts[i] == layout {
			layout = layouts[i+1]
			break
		}
	}
	return stringValue(t.Format(layout))
}
