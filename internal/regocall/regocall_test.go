package regocall

import (
	"testing"
	"time"
)

func TestCall(t *testing.T) {
	now := time.Unix(1, 5)
	for _, c := range []struct{ name, arguments, want string }{
		{"base64.decode", `["w6Q="]`, `"ä"`},
		{"base64.decode", `["w6Q\n="]`, `"ä"`},
		{"base64.decode", `[""]`, `""`},
		{"base64.decode", `["w6Q"]`, ""},
		{"base64.decode", `["_w=="]`, ""},
		{"base64.decode", `["/w=="]`, ""}, // no UTF-8
		{"base64.decode", `[1]`, ""},
		{"base64url.decode", `["w6Q"]`, `"ä"`},
		{"base64url.decode", `["w6Q="]`, `"ä"`},
		{"base64url.decode", `["Pz8_"]`, `"???"`},
		{"base64url.decode", `["Pz8/"]`, ""},
		{"base64url.decode", `["x"]`, ""},
		{"base64url.decode", `[""]`, `""`},
		{"base64.is_valid", `["w6Q="]`, "true"},
		{"base64.is_valid", `["w6Q"]`, "false"},
		{"base64.is_valid", `[1]`, "false"},
		{"json.is_valid", `["{\"a\":1}"]`, "true"},
		{"json.is_valid", `["{"]`, "false"},
		{"json.is_valid", `["1.2.3"]`, "false"},
		{"json.is_valid", `[[]]`, "false"},
		{"json.is_valid", `["{\"a\":1,\"a\":2}"]`, ""},
		{"json.is_valid", `["1e999"]`, ""},
		{"json.is_valid", `["\"\\ud800\""]`, ""},
		{"json.unmarshal", `["[1.50, 9007199254740993]"]`, "[1.50, 9007199254740993]"},
		{"json.unmarshal", `["1 2"]`, ""},
		{"json.unmarshal", `["{\"a\":1,\"a\":2}"]`, ""},
		{"json.unmarshal", `["{1, 2}"]`, ""},
		{"json.unmarshal", `[null]`, ""},
		{"to_number", `["-1.50e3"]`, "-1.50e3"},
		{"to_number", `["-"]`, ""},
		{"to_number", `["1e"]`, ""},
		{"to_number", `["."]`, ""},
		{"to_number", `[" 1"]`, ""},
		{"to_number", `["1 "]`, ""},
		{"to_number", `["+1"]`, ""},
		{"to_number", `["0x1p4"]`, ""},
		{"to_number", `["1e309"]`, ""},
		{"to_number", `["null"]`, ""},
		{"to_number", `["[1]"]`, ""},
		{"to_number", `[""]`, ""},
		{"to_number", `[[1]]`, ""},
		{"to_number", `[{1,2}]`, ""},
		{"to_number", `[1.50]`, "1.50"},
		{"to_number", `[true]`, "1"},
		{"to_number", `[false]`, "0"},
		{"to_number", `[null]`, "0"},
		{"format_int", `[1767225600000,10]`, `"1767225600000"`},
		{"format_int", `[2147483648,16]`, `"80000000"`},
		{"format_int", `[-15.9,16]`, `"-f"`},
		{"format_int", `[-0.9,10]`, `"0"`},
		{"format_int", `[1.5e3,2]`, `"10111011100"`},
		{"format_int", `[9223372036854775807,8]`, `"777777777777777777777"`},
		{"format_int", `[-9223372036854775808,10]`, `"-9223372036854775808"`},
		{"format_int", `[9223372036854775808,10]`, ""},
		{"format_int", `[1e400,10]`, ""},
		{"format_int", `[1,3]`, ""},
		{"format_int", `[1,10,10]`, ""},
		{"format_int", `["1",10]`, ""},
		{"format_int", `[1,"10"]`, ""},
		{"format_int", `[10]`, ""},
		{"time.now_ns", `[]`, "1000000005"},
		{"http.send", `[{}]`, ""},
		{"base64.decode", `["a", "b"]`, ""},
		{"base64.decode", `[`, ""},
	} {
		have, err := Call(c.name, []byte(c.arguments), now)
		if (err == nil) != (c.want != "") || string(have) != c.want {
			t.Errorf("%s(%s): %s, %v; want %s", c.name, c.arguments, have, err, c.want)
		}
	}
}
