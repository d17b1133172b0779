// Package protowire writes and reads the few protobuf messages of Envoy's
// functions (Protocol Buffers, "Encoding"), without the size of a library.
package protowire

import "encoding/binary"

const (
	varint = 0
	bytes  = 2
)

// AppendBytes adds a field of length-delimited type.
func AppendBytes[T string | []byte](dst []byte, field int, value T) []byte {
	dst = binary.AppendUvarint(dst, uint64(field)<<3|bytes) //nolint:gosec // a small constant
	dst = binary.AppendUvarint(dst, uint64(len(value)))
	return append(dst, value...)
}

// Outcome reads a message of a bool result, field 1, and bytes, field 2: what
// Envoy's sign and verify_signature answer. Anything else is no success.
func Outcome(message []byte) (result bool, value []byte) {
	for len(message) > 0 {
		key, n := binary.Uvarint(message)
		if n <= 0 {
			return false, nil
		}
		message = message[n:]
		number, n := binary.Uvarint(message)
		if n <= 0 {
			return false, nil
		}
		message = message[n:]
		switch key & 7 {
		case varint:
			if key>>3 == 1 {
				result = number == 1
			}
		case bytes:
			if number > uint64(len(message)) {
				return false, nil
			}
			if key>>3 == 2 {
				value = message[:number]
			}
			message = message[number:]
		default:
			return false, nil
		}
	}
	return result, value
}
