
mod drill;
mod faults;
mod healthy;
mod resume;
mod sources;
mod taken_up;
mod trial;
mod variants;
mod withheld;
