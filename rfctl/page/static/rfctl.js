new EventSource("page/events");
