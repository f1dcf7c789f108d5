//! GPU address spaces with asynchronous VM_BIND and exact page-table reservation.
