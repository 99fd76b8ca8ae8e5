-- What `add` needs when a batch leaves, or a message must be looked at closely: it ends the function that these files
-- are there. Needs shared/clock, shared/rights, shared/item, shared/merging and shared/batch.
return hand_over, clear, set_aside, read_item, company_of, take_fault, write_counts
