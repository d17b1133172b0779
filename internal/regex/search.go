package regex

import (
	"unicode"
	"unicode/utf8"
)

// Search looks for the matches of a pattern in a text, one after the other. It
// runs the program as all threads at once, in order of preference, rune by rune.
// The zero Search finds nothing.
type Search struct {
	Start, End int // of the match that Next has found, in bytes

	re    *Regexp
	text  string
	slots int // how many are kept: two for each group that counts
	steps int // that are left; below 0 the search was given up

	// Where the next match is looked for, and where the last one ended.
	from, last int

	marks  []int // by instruction: the generation of threads that it is in
	now    int   // generation
	saved  []int // slots of the thread at hand
	found  []int // slots of the match
	at     int   // place in the text of the threads that are added
	holds  int   // conditions there
	active threads
	next   threads

	out  []byte // what Replace gives
	done int    // how much of the text is in it
}

// threads wait at instructions: each is one, and its slots.
type threads struct {
	list []int
	n    int // how much of the list they take
}

// maxSlots bounds the memory of threads.
const maxSlots = 1 << 19

// Search begins a search.
func (re *Regexp) Search(text string) *Search {
	s := &Search{re: re, text: text, steps: MaxSteps, last: -1, marks: make([]int, len(re.program))}
	s.keep(1)
	return s
}

// keep has the first groups of each match kept, the whole being one.
//
//go:noinline
func (s *Search) keep(groups int) {
	s.slots = 2 * groups
	room := (s.slots + 1) * len(s.re.program)
	if room > maxSlots {
		s.steps = -1
		return
	}
	s.saved = make([]int, 2*s.slots+2*room)
	s.found = s.saved[s.slots:]
	s.active.list = s.found[s.slots:]
	s.next.list = s.active.list[room:]
}

// Next looks for the next match, and reports whether there is one. A match that
// is empty and touches the one before it is none.
func (s *Search) Next() bool {
	for s.re != nil && s.from <= len(s.text) && s.search() {
		before := s.last
		s.Start, s.End = s.found[0], s.found[1]
		s.last = s.End
		if s.End > s.from {
			s.from = s.End
			return true
		}
		_, width := utf8.DecodeRuneInString(s.text[s.from:])
		s.from += max(width, 1)
		if s.Start != before {
			return true
		}
	}
	return false
}

// Err returns why a search was given up, as ErrSteps, or what Replace gave, as ErrLarge.
func (s *Search) Err() error {
	switch {
	case s.steps < 0:
		return ErrSteps
	case len(s.out) > MaxOutput:
		return ErrLarge
	}
	return nil
}

// search looks for the leftmost match from s.from on.
func (s *Search) search() bool {
	s.active.n = 0
	matched := false
	s.now++
	s.place(s.from)
	for s.steps >= 0 {
		if !matched {
			for i := range s.slots {
				s.saved[i] = -1
			}
			s.saved[0] = s.at
			s.add(&s.active, s.re.start)
		}
		if s.active.n == 0 && matched {
			break
		}
		r, width := utf8.DecodeRuneInString(s.text[s.at:])
		end := s.at
		s.place(end + width)
		s.now++
		s.next.n = 0
		if s.step(r, width, end) {
			matched = true
		}
		if width == 0 {
			break
		}
		s.active, s.next = s.next, s.active
	}
	return matched && s.steps >= 0
}

// step moves the active threads over a rune, which has no width at the text's
// end, and reports whether one of them was at the match: those behind it lose.
func (s *Search) step(r rune, width, end int) bool {
	for t := 0; t < s.active.n; t += s.slots + 1 {
		i := &s.re.program[s.active.list[t]]
		copy(s.saved[:s.slots], s.active.list[t+1:])
		s.steps -= 1 + s.slots>>2
		if i.kind == match {
			copy(s.found[:s.slots], s.saved)
			s.found[1] = end
			return true
		}
		if width > 0 && i.takes(r, &s.steps) {
			s.add(&s.next, i.next)
		}
	}
	return false
}

func (i *instruction) takes(r rune, steps *int) bool {
	if i.kind == class {
		*steps -= len(i.set.parts) >> 2
		return i.set.has(r)
	}
	if i.value == int(r) {
		return true
	}
	if i.fold {
		for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
			if i.value == int(f) {
				return true
			}
		}
	}
	return false
}

// add puts threads to the list for an instruction and for all that it leads to
// without a rune, unless they are there.
func (s *Search) add(list *threads, at int) {
	for s.marks[at] != s.now {
		s.marks[at] = s.now
		s.steps--
		i := &s.re.program[at]
		switch i.kind {
		case fork:
			s.add(list, i.next)
			at = i.value
			continue
		case save:
			if i.value < s.slots {
				before := s.saved[i.value]
				s.saved[i.value] = s.at
				s.add(list, i.next)
				s.saved[i.value] = before
				return
			}
		case condition:
			if s.holds&i.value == 0 {
				return
			}
		default:
			list.list[list.n] = at
			copy(list.list[list.n+1:], s.saved[:s.slots])
			list.n += s.slots + 1
			return
		}
		at = i.next
	}
}

// place moves to a place in the text and sees which conditions hold there.
func (s *Search) place(at int) {
	s.at, s.holds = at, 0
	before, after := rune(-1), rune(-1)
	if at > 0 {
		before = rune(s.text[at-1])
	}
	if at < len(s.text) {
		after = rune(s.text[at])
	}
	if before < 0 {
		s.holds |= beginText
	}
	if after < 0 {
		s.holds |= endText
	}
	if before < 0 || before == '\n' {
		s.holds |= beginLine
	}
	if after < 0 || after == '\n' {
		s.holds |= endLine
	}
	if isWord(before) != isWord(after) {
		s.holds |= wordEdge
	} else {
		s.holds |= noWordEdge
	}
}
