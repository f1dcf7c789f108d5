//! I/O page tables (Arm LPAE stage 1, stage 2, Mali) whose memory the caller controls.
