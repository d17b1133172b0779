package main

import (
	"bytes"
	"errors"
	"fmt"
	"unicode/utf8"
)

// What a malformed module is refused for.
var (
	errMagic     = errors.New("not a WebAssembly module of version 1")
	errTruncated = errors.New("the module ends too early")
	errLEB128    = errors.New("an integer is longer than 32 bits")
	errSectionID = errors.New("unknown section")
	errOrder     = errors.New("a section is repeated or out of order")
	errName      = errors.New("a custom section has no valid name")
	errFunctions = errors.New("the code section doesn't hold one body for each function")
	errNoCode    = errors.New("no code section")
)

// Section ids of the WebAssembly binary format, section 5.5.2.
const (
	sectionCustom   = 0
	sectionFunction = 3
	sectionCode     = 10
)

// sectionRank is the place of each section, by id, in a module: tag (13)
// stands before global (6), and the data count (12) before code (10).
var sectionRank = [...]int{
	1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 13: 6, 6: 7, 7: 8, 8: 9, 9: 10, 12: 11, 10: 12, 11: 13,
}

// codeSize returns the number of bytes in the module's code section, without
// its id and length.
func codeSize(module []byte) (int, error) {
	rest, found := bytes.CutPrefix(module, []byte("\x00asm\x01\x00\x00\x00"))
	if !found {
		return 0, errMagic
	}
	var (
		lastRank  int
		functions uint32
		code      []byte
	)
	for len(rest) > 0 {
		offset := len(module) - len(rest)
		id := rest[0]
		body, after, err := cutVector(rest[1:])
		if err == nil {
			err = checkPlace(id, body, &lastRank)
		}
		if err == nil && id == sectionFunction {
			functions, _, err = cutUint32(body)
		}
		if err != nil {
			return 0, fmt.Errorf("section %d at offset %d: %w", id, offset, err)
		}
		if id == sectionCode {
			code = body
		}
		rest = after
	}
	if code == nil {
		return 0, errNoCode
	}
	if err := checkCode(code, functions); err != nil {
		return 0, err
	}
	return len(code), nil
}

// checkPlace refuses sections that are unknown, repeated or out of order.
// Custom sections may stand anywhere, but need a name.
func checkPlace(id byte, body []byte, lastRank *int) error {
	if id == sectionCustom {
		name, _, err := cutVector(body)
		if err != nil || !utf8.Valid(name) {
			return errName
		}
		return nil
	}
	if int(id) >= len(sectionRank) {
		return errSectionID
	}
	if sectionRank[id] <= *lastRank {
		return errOrder
	}
	*lastRank = sectionRank[id]
	return nil
}

// checkCode walks over the function bodies: there must be as many as the
// function section declares, and they must fill the code section.
func checkCode(code []byte, functions uint32) error {
	count, rest, err := cutUint32(code)
	if err != nil {
		return fmt.Errorf("code section: %w", err)
	}
	if count != functions {
		return errFunctions
	}
	for range count {
		if _, rest, err = cutVector(rest); err != nil {
			return fmt.Errorf("code section: %w", err)
		}
	}
	if len(rest) > 0 {
		return errFunctions
	}
	return nil
}

// cutVector splits b after the bytes that its leading length counts.
func cutVector(b []byte) (vector, rest []byte, err error) {
	n, rest, err := cutUint32(b)
	if err != nil {
		return nil, nil, err
	}
	if uint64(n) > uint64(len(rest)) {
		return nil, nil, errTruncated
	}
	return rest[:n], rest[n:], nil
}

// cutUint32 reads an unsigned LEB128 integer of at most 32 bits. Leading zeros
// are allowed within five bytes, as the format has it: linkers pad lengths.
func cutUint32(b []byte) (value uint32, rest []byte, err error) {
	for i, c := range b {
		if i == 4 && c > 0x0f {
			return 0, nil, errLEB128
		}
		value |= uint32(c&0x7f) << (7 * i)
		if c < 0x80 {
			return value, b[i+1:], nil
		}
	}
	return 0, nil, errTruncated
}
