# Protected health information (PHI): used by those whom the rules cover, for a
# permitted purpose, no more than needed. Its page has the rules.
package kest.library.healthcare

default allow := false

allow if {
	described
	permitted
}

purpose := input.object.attributes.purpose

scope := input.object.attributes.scope

patient := object.get(input.object.attributes, "patient", null)

authorized := object.get(input.object.attributes, "authorized", null)

notes := object.get(input.object.attributes, "notes", null)

covered := object.get(input.subject.attributes, "covered", null)

associate := object.get(input.subject.attributes, "associate", null)

treats := listed(input.subject.attributes, "treats")

# The object says what the use is for.
described if {
	is_string(purpose)
	scope in {"minimum", "full"}
	every flag in [authorized, notes, covered, associate] { flag in {null, true, false} }
	is_set(treats)
	patient_known
}

patient_known if patient == null

patient_known if is_string(patient)

# Nothing of PHI flowed in, and nothing of it is here: it is about nobody.
permitted if {
	not "phi" in input.subject.taints
	patient == null
	purpose != "treatment"
}

# Or a covered entity or a business associate uses it, as the person authorized,
permitted if {
	responsible
	authorized == true
}

# or without that, but never psychotherapy notes,
permitted if {
	responsible
	notes != true
	purposeful
}

responsible if covered == true

responsible if associate == true

# to treat their own patient, of whom a provider may know everything,
purposeful if {
	purpose == "treatment"
	patient in treats
	needed
}

# or for payment and operations, the minimum.
purposeful if {
	purpose in {"payment", "operations"}
	scope == "minimum"
}

needed if scope == "minimum"

needed if covered == true

# listed is a list that may be left out.
listed(attributes, name) := set() if object.get(attributes, name, null) == null

listed(attributes, name) := elements(attributes[name])

# elements are a list's as Cedar can hold them: nulls left out, and no numbers
# but whole ones that a double holds exactly.
elements(list) := {e | some e in list; e != null} if {
	is_array(list)
	every n in [x | walk(list, [_, x]); is_number(x)] {
		n == floor(n)
		abs(n) <= 9007199254740992
	}
}
