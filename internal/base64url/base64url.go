// Package base64url reads and writes base64url without padding (RFC 4648,
// section 5), 8 characters at a time.
//
// Reading is strict: each result has one text. The standard library's decoder
// skips line ends even when it is strict.
package base64url

import (
	"encoding/base64"
	"errors"

	"kest.example/kest/internal/words"
)

var errText = errors.New("not strict base64url without padding")

// digits maps a byte to its value, or to 0xff.
var digits = func() (table [256]byte) {
	for i := range table {
		table[i] = 0xff
	}
	for i, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") {
		table[c] = byte(i)
	}
	return table
}()

// Digit says whether c is of the alphabet.
func Digit(c byte) bool { return digits[c] != 0xff }

// Decode reads a text.
func Decode(s string) ([]byte, error) { return AppendDecode(nil, s) }

// AppendDecode appends what a text says to dst. After an error the result is nil.
func AppendDecode(dst []byte, s string) ([]byte, error) {
	const spare = 2 // what a store of 8 bytes writes behind the 6 that count
	start, size := len(dst), len(s)*3/4
	if cap(dst)-start < size+spare {
		dst = append(make([]byte, 0, start+size+spare), dst...)
	}
	out := dst[start : start+size+spare]
	read, n := blocks(out, s)
	if s = s[read:]; len(s) >= 8 {
		return nil, errText
	}
	if len(s) >= 4 {
		a, b, c, d := digits[s[0]], digits[s[1]], digits[s[2]], digits[s[3]]
		if a|b|c|d > 63 {
			return nil, errText
		}
		out[n], out[n+1], out[n+2] = a<<2|b>>4, b<<4|c>>2, c<<6|d
		n, s = n+3, s[4:]
	}
	switch len(s) {
	case 1:
		return nil, errText
	case 2:
		a, b := digits[s[0]], digits[s[1]]
		if a|b > 63 || b<<4 != 0 {
			return nil, errText
		}
		out[n] = a<<2 | b>>4
	case 3:
		a, b, c := digits[s[0]], digits[s[1]], digits[s[2]]
		if a|b|c > 63 || c<<6 != 0 {
			return nil, errText
		}
		out[n], out[n+1] = a<<2|b>>4, b<<4|c>>2
	}
	return dst[:start+size], nil
}

// blocks reads 8 characters at a time into out, until one is not of the
// alphabet or fewer are left. It returns how many it has read and written; out
// has room for two bytes more.
//
// A byte of x below 0x80 is c or more where adding 0x80-c sets its highest bit.
// All is in one loop: a call in it costs a guest twice as much as its work.
func blocks(out []byte, s string) (read, written int) {
	const ones, high = words.Ones, words.High
	for read+8 <= len(s) && written+8 <= len(out) {
		x := words.Load(s, read)
		upper := (x + (0x80-'A')*ones) &^ (x + (0x80-'Z'-1)*ones) & high
		lower := (x + (0x80-'a')*ones) &^ (x + (0x80-'z'-1)*ones) & high
		digit := (x + (0x80-'0')*ones) &^ (x + (0x80-'9'-1)*ones) & high
		minus := ^(x ^ '-'*ones + 0x7f*ones) & high
		under := ^(x ^ '_'*ones + 0x7f*ones) & high
		if (upper|lower|digit|minus|under)&^x != high {
			return read, written
		}
		x = x - upper>>7*'A' - lower>>7*('a'-26) - under>>7*('_'-63) + digit>>7*(52-'0') + minus>>7*(62-'-')
		x = x&0x00ff00ff00ff00ff<<6 | x>>8&0x00ff00ff00ff00ff
		x = x&0x0000ffff0000ffff<<12 | x>>16&0x0000ffff0000ffff
		x = x>>16&0x000000ff000000ff | x&0x0000ff000000ff00 | x&0x000000ff000000ff<<16
		words.Store(out, written, x&0xffffff|x>>32<<24)
		read += 8
		written += 6
	}
	return read, written
}

// AppendEncode appends the text of src to dst.
func AppendEncode(dst, src []byte) []byte {
	start, size := len(dst), base64.RawURLEncoding.EncodedLen(len(src))
	if cap(dst)-start < size {
		dst = append(make([]byte, 0, start+size), dst...)
	}
	out := dst[start : start+size]
	read, written := texts(out, src)
	base64.RawURLEncoding.Encode(out[written:], src[read:])
	return dst[:start+size]
}

// texts writes the 8 characters of 6 bytes at a time, for as long as 8 bytes can
// be read. It returns how many it has read and written.
func texts(out, src []byte) (read, written int) {
	const ones, high = words.Ones, words.High
	for read+8 <= len(src) && written+8 <= len(out) {
		x := words.LoadBytes(src, read)
		x = x&0xffffff | x>>24&0xffffff<<32
		x = x>>16&0x000000ff000000ff | x&0x0000ff000000ff00 | x&0x000000ff000000ff<<16
		x = x>>12&0x00000fff00000fff | x&0x00000fff00000fff<<16
		x = x>>6&0x003f003f003f003f | x&0x003f003f003f003f<<8
		lower := (x + (0x80-26)*ones) & high >> 7
		digit := (x + (0x80-52)*ones) & high >> 7
		minus := (x + (0x80-62)*ones) & high >> 7
		under := (x + (0x80-63)*ones) & high >> 7
		// Each step is what the next range is off by. The sums come first, so that no byte borrows.
		x = x + 'A'*ones + lower*('a'-26-'A') + under*('_'-63-('-'-62)) - digit*('a'-26-('0'-52)) - minus*('0'-52-('-'-62))
		words.Store(out, written, x)
		read += 6
		written += 8
	}
	return read, written
}
