//! The seven machines, their messages and effects, the recovery sequence.
