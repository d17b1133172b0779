package regobuiltin

// functions are what Call finds, sorted by name.
var functions = [...]struct {
	name  string
	arity int
	run   func(*call) *Value
}{
	{"base64url.encode_no_pad", 1, base64URL},
	{"crypto.sha256", 1, sha256Hex},
	{"hex.decode", 1, hexDecode},
	{"hex.encode", 1, hexEncode},
	{"json.patch", 2, jsonPatch},
	{"object.subset", 2, objectSubset},
	{"regex.find_n", 3, regexFind},
	{"regex.replace", 3, regexReplace},
	{"regex.split", 2, regexSplit},
	{"semver.compare", 2, semverCompare},
	{"semver.is_valid", 1, semverIsValid},
	{"sprintf", 2, sprintf},
	{"strings.any_prefix_match", 2, anyPrefix},
	{"strings.any_suffix_match", 2, anySuffix},
	{"strings.count", 2, stringsCount},
	{"time.add_date", 4, timeAddDate},
	{"time.clock", 1, timeClock},
	{"time.date", 1, timeDate},
	{"time.format", 1, timeFormat},
	{"time.now_ns", 0, timeNow},
	{"time.parse_duration_ns", 1, timeParseDuration},
	{"time.parse_rfc3339_ns", 1, timeParse},
	{"time.weekday", 1, timeWeekday},
	{"urlquery.decode", 1, queryDecode},
	{"urlquery.encode", 1, queryEncode},
}
