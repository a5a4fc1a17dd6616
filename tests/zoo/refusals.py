REASONS={}
def short_reason(m): return m[:220]
