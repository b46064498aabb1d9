-- A write that Instantly accepted may come through after an edit there that was seen before it: that edit is sent again.
ALTER TABLE sync.base ADD COLUMN late jsonb;  -- accepted writes that another value showed before: {key: [value, until]}
ALTER TABLE crm.conflicts DROP CONSTRAINT conflicts_rule_check;
ALTER TABLE crm.conflicts ADD CONSTRAINT conflicts_rule_check
    CHECK (rule IN ('local', 'remote', 'newest', 'manual', 'keep_value', 'flip_flop', 'late_write'));
