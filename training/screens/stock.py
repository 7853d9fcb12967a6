"""Phrases that real programs show, sorted by where they stand."""

from __future__ import annotations


def _phrases(text: str) -> tuple[str, ...]:
    """Split at the separators and at line ends."""
    return tuple(phrase for line in text.split("\n") for phrase in line.split("|") if phrase)


ACTIONS = _phrases("""
Save|Cancel|OK|Submit|Delete|Edit|Close|Open|Next|Back|Continue|Done|Apply|Reset|Search|Sign in
Sign up|Log in|Log out|Register|Download|Upload|Share|Print|Copy|Paste|Undo|Redo|New|Create
Publish|Preview|Send|Reply|Forward|Accept|Decline|Allow|Deny|Yes|No|Retry|Skip|Finish|Start|Stop
Pause|Play|Record|Follow|Like|Comment|Subscribe|Join|Leave|Invite|Learn more|Read more|Get started
Try again|Show all|See more|Load more|Browse|Choose file|Select all|Clear|Clear all|Buy now
Add to cart|Remove|Update|Refresh|Filter|Sort|Export|Import|Checkout|Save changes|Discard
Create account|Add item|Place order|Upgrade plan|Send invite|Book now|Update profile|Join team
Add friend|Add contact|New folder|New message|Sign out|Report|Block|Mute|Archive|Rename|Move
Duplicate|Install|Uninstall|Enable|Disable|Connect|Disconnect|Verify|Confirm|Go back|View details
Add note|Pay now|Track order|Change password|Set up|Not now|Maybe later|Got it|Details|Compare
Donate|Vote
""")

PLACES = _phrases("""
Home|About|Contact|Help|Settings|Profile|Messages|Inbox|Sent|Drafts|Spam|Trash|Archive|Dashboard
Reports|Analytics|Users|Orders|Products|Customers|Invoices|Payments|Billing|Shipping|Cart|Explore
Library|Discover|Trending|Popular|Latest|All|Unread|Groups|Channels|Friends|Events|Photos|Albums
Notes|Reminders|Tickets|Wallet|Cards|Loans|Insurance|Overview|Details|History|Activity|Features
Pricing|Blog|Docs|Support|FAQ|Careers|Team|Projects|Tasks|Teams|Integrations|Plugins|Themes
Favorites|Recent|Downloads|Documents|Pictures|Desktop|Music|Videos|Calendar|Clock|Weather|Maps
Mail|Calls|Contacts|Camera|Gallery|Store|Games|News|Books|Files|General|Security|Privacy|Members
Usage|Logs|Reviews|Today|Week|Month|Year|Live|Sports|Shop|Deals|Account
""")

SETTINGS = _phrases("""
Wi-Fi|Bluetooth|Display|Sound|Storage|Battery|Location|Apps|Updates|Notifications|General
Appearance|Language|Privacy|Security|Airplane mode|Mobile data|Hotspot|Do not disturb|Font size
Brightness|Volume|Wallpaper|Ringtone|Backup|Accounts|Accessibility|Dark mode|Auto update
Remember me|Keep me signed in|Accept terms|Auto save|Night light|Vibration|Sync|Cookies
Location services|Show preview|Two-factor login|Weekly digest|Email alerts|Public profile
Power saving|Auto-lock|Face unlock|Data saver|Keyboard|Printers|Developer options|Date and time
Parental controls|Payment methods|Connected devices|Order history|Privacy policy|Theme|Captions
Auto play|High contrast|Use location|Spell check|Read receipts|Blocked users|Hidden files
Live updates
""")

FIELDS = _phrases("""
Email|Email address|Password|Username|First name|Last name|Full name|Phone|Phone number|Address
Street|City|Country|State|Zip code|Postal code|Company|Date of birth|Card number|Expiry date
Subject|Message|Title|Description|Category|Price|Quantity|Status|Name|Type|Date|Size|Owner|Role
Website|Coupon code|Search|From|To|Guests|Time|Department|Comment|Notes|Gender|Currency|Priority
Project|Due date|Amount|Account|Security code|New password|Confirm password|Display name|Bio
Time zone|Nickname|Region|Language|Color|Model|Room|Destination
""")

COLUMNS = _phrases("""
Name|Status|Date|Price|Total|Type|Size|Owner|Role|Email|City|Quantity|Amount|ID|Product|Customer
Order|User|Team|Country|Score|Rank|Time|Due|Priority|Progress|Category|Stock|Phone|Company|Project
Version
""")

CELLS = _phrases("""
Active|Pending|Completed|Failed|Draft|Paid|Unpaid|Open|Closed|Shipped|Canceled|New|In progress
Done|High|Low|Medium|Admin|Editor|Viewer|Guest|Yes|No|Online|Offline|Refunded|On hold|Approved
""")

LINKS = _phrases("""
Forgot password?|Learn more|View all|Terms of service|Privacy policy|Resend code|Need help?
See details|Terms|Sign up|Read more|Contact us|Show more|Edit|Remove|Help center|Cookie policy
About us|Careers|Press|Sitemap|Status|Change|Undo|Details|Reply|Share|Report|Skip
Create an account|Log in|Back to top|Unsubscribe|Manage|View profile|More info|Add another|Imprint
Accessibility|Site map|Developers|Partners
""")

TITLES = _phrases("""
Welcome back|Account settings|Your cart|New project|Dashboard|Checkout|Edit profile|Notifications
Billing|Members|Sign in|Create account|Delete file?|Save changes?|Are you sure?|Recent orders
Upcoming events|My files|Search results|Reset password|Contact us|Payment|Shipping address
Top stories|Team members|Share with|Playlists|Quick actions|Statistics|Summary|Today|Preferences
Invite friends|Rate this app|Add contact|New message
""")

SENTENCES = _phrases("""
No new messages today|Two items left in stock|Last login 3 days ago|All systems operational
Free shipping over $50|Trial ends on Friday|Your changes were saved|This cannot be undone
Check your inbox|Password is too short|Update available|You are offline|Storage is almost full
Payment was declined|Connection lost|Draft saved|Link copied|3 new comments
Your session has expired|File uploaded|Please try again later|Enter a valid email
Welcome to the team|Your order has shipped
""")

FIRST_NAMES = _phrases("""
Emma|Liam|Olivia|Noah|Ava|Lucas|Mia|Ethan|Sofia|Mason|Ella|James|Anna|Jack|Lily|Leo|Grace|Henry
Zoe|Owen|Chloe|Ryan|Nora|Adam|Ruby|David|Maya|Peter|Ivy|Sam|Laura|Max|Julia|Tom|Kate|Ben|Alice
Mark|Diana|Paul|Priya|Chen|Yuki|Omar|Fatima|Ines|Lars|Nadia|Hugo|Elena|Marco|Ravi|Aisha|Kenji|Sara
Ivan
""")

LAST_NAMES = _phrases("""
Smith|Brown|Jones|Miller|Davis|Garcia|Wilson|Moore|Taylor|Lee|White|Harris|Clark|Lewis|Young|King
Wright|Hill|Scott|Green|Adams|Baker|Hall|Rivera|Perez|Cook|Reed|Bell|Ward|Cox|Silva|Khan|Tanaka
Novak|Rossi|Weber|Dubois|Singh|Okafor|Larsen|Costa|Meyer|Ito|Ali|Santos|Kim|Park|Nguyen
""")

MONTHS = _phrases("""
Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec
""")

WEEKDAYS = _phrases("""
Mon|Tue|Wed|Thu|Fri|Sat|Sun
""")

ENDINGS = _phrases("""
.txt|.pdf|.png|.zip|.doc|.csv|.mp3|.jpg
""")

DOMAINS = _phrases("""
.com|.org|.net|.io
""")

UNITS = _phrases("""
items|files|GB|MB|km|min|new|points
""")

MARKS = _phrases("""
AM|PM|v
""")

HELD_OUT_FIRST_NAMES = _phrases("""
Theodora|Bjorn|Quentin|Saskia|Wilhelm|Xavier|Yolanda|Zubair|Imogen|Tariq|Petra|Gwendolyn|Kwame|Delphine
""")

HELD_OUT_LAST_NAMES = _phrases("""
Vandermeer|Kowalczyk|Featherby|Ogilvie|Quarles|Yamazaki|Zimmerman|Huxtable|Bjork|Thackeray|Iqbal
""")
