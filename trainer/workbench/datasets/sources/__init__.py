"""Where tables lie: files and archives, remote files, databases, the flow lake; and who may be asked."""
