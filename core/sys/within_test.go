package sys

import "testing"

func TestWithin(t *testing.T) {
	room := make([]byte, 64)
	whole := room[16:48]
	for _, k := range []struct {
		part []byte
		at   int
	}{
		{whole, 0}, {whole[3:9], 3}, {whole[31:], 31}, {whole[:0], -1}, {nil, -1},
		{room[15:20], -1}, {room[:8], -1}, {room[47:49], -1}, {room[48:], -1}, {room, -1}, {make([]byte, 4), -1},
	} {
		if at := Within(whole, k.part); at != k.at {
			t.Errorf("%d bytes: %d, want %d", len(k.part), at, k.at)
		}
	}
	if at := Within(nil, whole); at != -1 {
		t.Errorf("in nothing: %d", at)
	}
}
