package hostcall

import "encoding/binary"

// AppendEval lays out the argument of PolicyEval: uint32 entry point, int64
// milliseconds of now, the input as JSON.
func AppendEval(dst []byte, entry uint32, nowMS int64, input []byte) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, entry)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(nowMS)) //nolint:gosec // and back in ParseEval
	return append(dst, input...)
}

// ParseEval reads what AppendEval wrote. The input is part of b.
func ParseEval(b []byte) (entry uint32, nowMS int64, input []byte, err error) {
	if len(b) < 12 {
		return 0, 0, nil, ErrLayout
	}
	return binary.LittleEndian.Uint32(b), int64(binary.LittleEndian.Uint64(b[4:])), b[12:], nil //nolint:gosec // as AppendEval wrote it
}

const (
	resultGiven   = 0
	resultAborted = 1
)

// AppendResult lays out what PolicyEval gives: OPA's result set as JSON, or why
// there is none.
func AppendResult(dst, result []byte) []byte { return append(append(dst, resultGiven), result...) }

// AppendAbort lays out what PolicyEval gives for an evaluation that ended
// without a result.
func AppendAbort(dst []byte, text string) []byte { return append(append(dst, resultAborted), text...) }

// ParseResult reads what AppendResult or AppendAbort wrote.
func ParseResult(b []byte) (text []byte, aborted bool, err error) {
	if len(b) == 0 || b[0] > resultAborted {
		return nil, false, ErrLayout
	}
	return b[1:], b[0] == resultAborted, nil
}
