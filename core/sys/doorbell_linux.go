package sys

import "golang.org/x/sys/unix"

var ringValue = []byte{1, 0, 0, 0, 0, 0, 0, 0} // an eventfd's addend, any byte order that is not zero

// NewDoorbell makes a doorbell: one eventfd.
func NewDoorbell() (*Doorbell, error) {
	fd, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		return nil, err
	}
	return &Doorbell{r: fd, w: fd}, nil
}
