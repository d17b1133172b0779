package plugin

import "time"

// The parsers of package time would add 0.05 MB to a guest for two members.

var units = map[string]time.Duration{
	"ms": time.Millisecond, "s": time.Second, "m": time.Minute, "h": time.Hour,
}

// parseDuration reads whole numbers with units, such as 300s, 1h30m or 250ms.
func parseDuration(s string) (total time.Duration, ok bool) {
	for s != "" {
		n, rest := number(s)
		if rest == s || len(s)-len(rest) > 9 {
			return 0, false
		}
		end := 0
		for end < len(rest) && (rest[end] < '0' || rest[end] > '9') {
			end++
		}
		unit, known := units[rest[:end]]
		if !known {
			return 0, false
		}
		total, s, ok = total+time.Duration(n)*unit, rest[end:], true
	}
	return total, ok
}

// number reads leading digits; without any, rest is all of s.
func number(s string) (n int, rest string) {
	i := 0
	for i < len(s) && i < 10 && s[i] >= '0' && s[i] <= '9' {
		n = n*10 + int(s[i]-'0')
		i++
	}
	return n, s[i:]
}

// parseTime reads a date and time of RFC 3339 section 5.6.
func parseTime(s string) (time.Time, bool) {
	const layout = "0000-00-00T00:00:00"
	if len(s) <= len(layout) {
		return time.Time{}, false
	}
	for i := range layout {
		digit := s[i] >= '0' && s[i] <= '9'
		if digit != (layout[i] == '0') || !digit && s[i] != layout[i] {
			return time.Time{}, false
		}
	}
	at := func(i, j int) int {
		n, _ := number(s[i:j])
		return n
	}
	year, month, day := at(0, 4), time.Month(at(5, 7)), at(8, 10)
	hour, minute, second := at(11, 13), at(14, 16), at(17, 19)
	nanoseconds, rest := 0, s[len(layout):]
	if rest[0] == '.' {
		nanoseconds, rest = fraction(rest[1:])
	}
	offset, ok := zone(rest)
	t := time.Date(year, month, day, hour, minute, second, nanoseconds, time.UTC)
	// time.Date takes 31 February for a day of March: then the parts don't come back.
	if !ok || t.Month() != month || t.Day() != day || t.Hour() != hour || t.Minute() != minute || t.Second() != second {
		return time.Time{}, false
	}
	return t.Add(-offset), true
}

// fraction reads the digits of a second, of which nine count.
func fraction(s string) (nanoseconds int, rest string) {
	scale := int(time.Second)
	i := 0
	for i < len(s) && s[i] >= '0' && s[i] <= '9' {
		scale /= 10
		nanoseconds += int(s[i]-'0') * scale
		i++
	}
	if i == 0 {
		return 0, "."
	}
	return nanoseconds, s[i:]
}

// zone reads Z or ±hh:mm.
func zone(s string) (time.Duration, bool) {
	if s == "Z" {
		return 0, true
	}
	if len(s) != 6 || s[3] != ':' || s[0] != '+' && s[0] != '-' {
		return 0, false
	}
	hours, behindHours := number(s[1:3])
	minutes, behindMinutes := number(s[4:6])
	if behindHours != "" || behindMinutes != "" || hours > 23 || minutes > 59 {
		return 0, false
	}
	offset := time.Duration(hours)*time.Hour + time.Duration(minutes)*time.Minute
	if s[0] == '-' {
		offset = -offset
	}
	return offset, true
}
