# Biba (1977), strict integrity: nobody observes below their own integrity, and
# nothing is modified or invoked above it. Its page has the rules.
package kest.library.biba

default allow := false

subject := integrity(input.subject.attributes.integrity)

target := integrity(input.object.attributes.integrity)

access := input.object.attributes.access

# Simple integrity.
allow if {
	access == "observe"
	target >= subject
}

# Integrity *-property and invocation: by the subject's integrity, and by the
# trust score, which is the low-water mark of what flowed in.
allow if {
	access in {"modify", "invoke"}
	target <= subject
	target <= input.subject.trust_score
}

integrity(n) := n if {
	is_number(n)
	n == floor(n)
	n >= 0
	n <= 100
}
