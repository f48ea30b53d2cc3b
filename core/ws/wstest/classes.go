package wstest

// numClasses is how many classes there are.
const numClasses = 17

// classes are the classes of cases. Up to 13 their numbers are those of the
// well-known suite (which has no 8 and 11).
var classes = [numClasses]struct {
	name string
	add  func(*set)
}{
	{"1 framing", framing},
	{"2 pings and pongs", pings},
	{"3 reserved bits", reservedBits},
	{"4 opcodes", opcodes},
	{"5 fragmentation", fragmentation},
	{"6 UTF-8", encoding},
	{"7 close handling", closing},
	{"9 limits and performance", limits},
	{"10 misc", misc},
	{"12 compression of kinds of data", kinds},
	{"13 compression parameters", offers},
	{"14 compression takeover", takeover},
	{"15 compression errors", packErrors},
	{"16 negotiation", negotiation},
	{"17 opening handshake", handshakes},
	{"18 masking", masking},
	{"19 ends of TCP", ends},
}
