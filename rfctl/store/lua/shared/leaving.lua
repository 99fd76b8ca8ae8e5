-- What `add` needs when a batch leaves, a message must be looked at closely, or a segment of ids begins or ends.
-- It ends the function that is made of these files. Needs shared/clock, rights, item, merging, holding, batch,
-- taking_over and id_changes.
return { hand_over = hand_over, has_max_size = has_max_size, clear = clear, set_aside = set_aside,
  read_item = read_item, company_of = company_of, take_fault = take_fault, write_counts = write_counts,
  list_measures = list_measures, traced_batches = traced_batches, take_over = take_over, plan_ids = plan_ids,
  change_ids = change_ids }
