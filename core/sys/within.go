package sys

import "unsafe"

// Within returns where in whole part begins, -1 if it does not lie there.
func Within(whole, part []byte) int {
	if len(part) == 0 || len(part) > len(whole) {
		return -1
	}
	at := uintptr(unsafe.Pointer(unsafe.SliceData(part))) - uintptr(unsafe.Pointer(unsafe.SliceData(whole)))
	if at > uintptr(len(whole)-len(part)) { // or before it: a difference below 0 is a large one
		return -1
	}
	return int(at)
}
