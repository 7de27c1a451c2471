//! Hand-made histories and what the questions say of them.
